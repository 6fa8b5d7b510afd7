"""picamera2 on libcamera's virtual camera: scripts/libcamera.sh makes the system for it and runs `check`."""
