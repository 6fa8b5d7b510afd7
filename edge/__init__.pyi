# What type checkers and editors know of the names that __init__.py loads when they are used.
from edge.errors import EmotionEdgeError as EmotionEdgeError
from edge.image_analyzer import ImageAnalyzer as ImageAnalyzer
from edge.types import Box as Box
from edge.types import FaceResult as FaceResult
from edge.types import Frame as Frame
from edge.types import FrameResult as FrameResult
from edge.video_analyzer import analyze_video as analyze_video

__version__: str
