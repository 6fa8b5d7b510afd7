"""emotion-edge on the device: camera, face detection, int8 classifier, sinks. Imports neither the trainer nor Keras."""

__version__ = "0.1.0"  # of the package, the wheel and the models; nothing else states it
