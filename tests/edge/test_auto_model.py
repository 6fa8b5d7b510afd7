"""With `--model auto`, the model of a camera is chosen while its frames are processed."""

from edge import app
from edge.auto_model import AutoModelProcessor
from edge.config.settings import RunSettings
from edge.inference.model_choice import ModelChoice
from tests.support import fakes


def test_the_minimum_confidence_follows_the_chosen_model(two_models):
    def smoother_after_switch(**given):
        settings = RunSettings("synthetic", model="auto", **given)
        choice = app.make_classifier(settings, live=True)
        processor = app.make_processor(settings, choice, live=True)
        assert isinstance(choice, ModelChoice)
        assert isinstance(processor, AutoModelProcessor)
        before = processor._smoother.min_confidence
        choice._current = choice._accurate.classifier
        processor.process(fakes.frame())
        return before, processor._smoother.min_confidence

    assert smoother_after_switch() == (0.4, 0.5)
    assert smoother_after_switch(min_confidence=0.7) == (0.7, 0.7)
