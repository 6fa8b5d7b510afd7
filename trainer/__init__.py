"""The workstation's side of emotion-edge: FER2013 in, a full-int8 .tflite out. Imports Keras only where it trains."""
