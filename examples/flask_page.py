"""A page to which one sends a photo, and an API that answers with its faces as JSON. No photo is stored.

    python3 -m venv .venv-flask && .venv-flask/bin/pip install . flask
    .venv-flask/bin/flask --app examples/flask_page.py run
    curl -F image=@party.jpg http://localhost:5000/faces

Flask's own server is for one person who tries it. The sink `web` of `edge run` has a page, a token and rate limits.
"""

import sys
from dataclasses import asdict
from threading import Lock
from typing import Any

try:
    from flask import Flask, request

    from edge import ImageAnalyzer
    from edge.errors import ImageError
except ImportError as error:
    sys.exit(f"flask_page: {error}; pip install . flask")

PAGE = """<!doctype html><title>Faces</title>
<form action="/faces" method="post" enctype="multipart/form-data">
<input type="file" name="image" accept="image/*" required> <button>Send</button></form>"""

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 20_000_000  # bytes
analyzer, lock = ImageAnalyzer(), Lock()  # one for all requests; it is not thread-safe


@app.get("/")
def page() -> str:
    return PAGE


@app.post("/faces")
def faces() -> tuple[dict[str, Any], int]:
    if "image" not in request.files:
        return {"error": "no file 'image' in the form"}, 400
    try:
        with lock:
            found = analyzer.analyze(request.files["image"].read())
    except ImageError as error:
        return {"error": str(error)}, 400
    return {"faces": [asdict(face) for face in found]}, 200
