"""emotion-edge on the device: camera, face detection, int8 classifier, sinks. Imports neither the trainer nor Keras.

These names are for programs that import the package; each one's module is loaded when it is first used.

    ImageAnalyzer    faces and emotions in single images
    analyze_video    in a video or of a camera, frame by frame
    FrameResult, FaceResult, Box, Frame    what they return
    EmotionEdgeError    base of all errors, see edge.errors
"""

from importlib import import_module

__version__ = "0.1.0"  # of the package, the wheel and the models; nothing else states it

# No `__all__`: `from edge import *` would load everything.
_MODULES = {  # name -> the module that has it; type checkers read __init__.pyi
    "Box": "edge.types",
    "EmotionEdgeError": "edge.errors",
    "FaceResult": "edge.types",
    "Frame": "edge.types",
    "FrameResult": "edge.types",
    "ImageAnalyzer": "edge.image_analyzer",
    "analyze_video": "edge.video_analyzer",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'edge' has no attribute {name!r}; it has {', '.join(_MODULES)}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
