"""A process that answers as edge.file_worker does, without a model: what is in a file says what it does.

    python -m tests.support.fake_file_worker

Each line of a file is a frame with as many faces; `crash` ends the process by SIGSEGV, `bad` leaves the file out, and
`wait NAME` waits until the file NAME beside it exists.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import time
from dataclasses import replace

from edge.capture.file_jobs import FileDone, make_message
from edge.system.worker_process import receive, send
from edge.types import FilePosition
from tests.support.fakes import face_result, frame_result


def main() -> None:
    with socket.socket(fileno=os.dup(0)) as connection:
        send(connection, b"")
        while (content := receive(connection)) is not None:
            file, problem = pickle.loads(content), ""
            lines = file.path.read_text().splitlines()
            for index, line in enumerate(lines):
                word, _, name = line.partition(" ")
                if word == "crash":
                    os.kill(os.getpid(), signal.SIGSEGV)
                if word == "wait":
                    while not (file.path.parent / name).exists():
                        time.sleep(0.01)
                    continue
                if word == "bad":
                    problem = "it is bad"
                    break
                faces = [face_result(track_id=number, since=index / 10) for number in range(1, int(word) + 1)]
                result = frame_result(*faces, time=index / 10, index=index, source_name="a")
                position = FilePosition(index / 10, index, (index + 1) / len(lines))
                frame = replace(result.frame, file=position, is_image=file.is_image)
                send(connection, pickle.dumps(make_message(replace(result, frame=frame))))
            send(connection, pickle.dumps(FileDone(problem)))


if __name__ == "__main__":
    main()
