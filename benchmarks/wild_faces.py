"""Measure how many faces in a folder of labeled images are found and classified correctly.

As `trainer evaluate --detect`, with options of `edge run`: whole scenes as CLASS/* or <class>-<n>.jpg; the face of an
image is the largest one whose box covers the center and at least a quarter of the width. Needs .venv-test, which
scripts/test.sh makes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import make_parser
from edge.config.defaults import DETECTOR, MIN_FACE_SIZE
from edge.config.models import shipped_model
from edge.detection import registry as detectors
from edge.image_analyzer import ImageAnalyzer
from edge.inference.classifier import Classifier


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("wild_faces", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", type=Path, metavar="FILE", help="default: the shipped model")
    parser.add_argument("--min-face-size", type=int, default=MIN_FACE_SIZE, metavar="PIXELS", help="as of edge run")
    parser.add_argument("--min-confidence", type=float, metavar="PROBABILITY", help="as of edge run")
    parser.add_argument("--detector", default=DETECTOR, metavar="DETECTOR", help="as of edge run")
    parser.add_argument("--prior", metavar="PRIOR", help="as of edge run")
    parser.add_argument("--skip-invalid", action="store_true", help="skip invalid images and count them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to this JSON file")
    options = parser.parse_args(arguments)
    from trainer.evaluation.scenes import evaluate_scenes
    from trainer.reports.formatting import format_evaluation

    model = options.model or shipped_model()
    classifier = Classifier(model, prior=options.prior)
    detector = detectors.make_image_detector(options.detector)
    analyzer = ImageAnalyzer(detector, classifier, options.min_face_size, options.min_confidence)
    evaluation = evaluate_scenes(
        analyzer, options.folder, model.name, prior=classifier.prior, skip_invalid=options.skip_invalid
    )
    print(format_evaluation(evaluation))
    if options.json:
        options.json.write_text(json.dumps(evaluation.as_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
