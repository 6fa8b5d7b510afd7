"""From the pixels of a face to a label: model file, preprocessing, classifier, smoothing."""
