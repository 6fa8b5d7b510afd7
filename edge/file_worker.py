"""A child process that analyzes one file after the other; edge.app starts several with `--jobs`.

request   a pickled ListedFile
answer    a pickled FrameMessage for each frame, then FileDone; see edge/capture/file_jobs.py
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys

from edge.app import make_classifier, make_processor, worker_settings
from edge.capture.file import read_files
from edge.capture.file_jobs import FileDone, make_message
from edge.errors import EmotionEdgeError
from edge.system.paths import display_name
from edge.system.worker_process import receive, send


def main() -> None:
    """Answer requests; the argument is that of edge.app.worker_command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent ends this process
    settings = worker_settings(sys.argv[1])
    classifier = make_classifier(settings)
    of_images = make_processor(settings, classifier, images=True)
    with socket.socket(fileno=os.dup(0)) as connection:
        send(connection, b"")
        while (content := receive(connection)) is not None:
            file, problem = pickle.loads(content), ""  # noqa: S301 (of our own process)
            processor = of_images if file.is_image else make_processor(settings, classifier)
            try:
                for frame in read_files([file], []):
                    send(connection, pickle.dumps(make_message(processor.process(frame))))
            except EmotionEdgeError as error:
                problem = str(error).removeprefix(f"{display_name(file.path)}: ")
            send(connection, pickle.dumps(FileDone(problem)))
