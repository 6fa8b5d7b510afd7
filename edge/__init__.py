"""The runtime of emotion-edge: camera, face search, int8 classifier, outputs. Imports no trainer and no Keras."""
