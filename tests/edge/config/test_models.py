"""Which model file is used where none is named."""

from edge.config.models import shipped_model


def test_deployed_model_takes_precedence_over_the_shipped_one(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOTION_EDGE_MODEL", str(tmp_path / "deployed.tflite"))
    assert shipped_model() == tmp_path / "deployed.tflite"
    monkeypatch.setenv("EMOTION_EDGE_MODEL", "")
    assert shipped_model().name == "emotion.tflite"
