"""Search over training settings with Optuna: several processes or machines share one study.

Each trial is a run folder. A process holds a lock in the folder of its trial while it trains: a trial that is running
and whose folder is not locked belongs to a process that was killed, and the next process continues it after its last
completed epoch.
"""

from __future__ import annotations

import csv
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import keras
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from edge.errors import EmotionEdgeError, FileError
from edge.system.file_access import lock_file, make_folder
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.errors import TrainingError
from trainer.training.checkpoints import RunDirectory
from trainer.training.loop import train
from trainer.training.sweep_space import Parameter, SweepSpace

JOURNAL_NAME = "journal.log"
JOURNAL_START = b'{"op_code":'  # of each line that Optuna writes
STUDY_NAME = "sweep"
LOCK_NAME = "lock"
SECONDS = "seconds"  # attribute of a trial: of training and validation, without the time in which it was stopped
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
MAX_ATTEMPTS = 5  # to train a trial, before it fails: each of them was killed, perhaps for too little memory
MAX_FAILED = 10  # trials in a row

_log = logging.getLogger(__name__)


class StudyRunner:
    """A study and the folder with the run folders of its trials.

    Args:
        space: what is tried.
        dataset: with Training and PublicTest rows.
        folder: of the study; processes of one machine share it.
        storage: a database URL, or a journal file; empty: JOURNAL_NAME in `folder`.

    Raises TrainingError when the storage cannot be opened, or its study has another space or other data; FileError when
    the folder cannot be made.
    """

    def __init__(self, space: SweepSpace, dataset: Dataset, folder: Path, storage: str = "") -> None:
        self._space, self._dataset, self._folder = space, dataset, folder
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        content = json.loads(
            json.dumps(
                {
                    "space": space.as_json(),
                    "data": {name: dataset.split(name).counts() for name in (TRAINING, PUBLIC_TEST)},
                }
            )
        )
        try:
            make_folder(folder)
        except OSError as error:
            raise FileError(f"{folder}: cannot be written ({error.strerror})") from error
        with _locked(folder / LOCK_NAME):
            try:
                self._storage = _open_storage(storage or str(folder / JOURNAL_NAME))
                self.study = optuna.create_study(
                    study_name=STUDY_NAME, storage=self._storage, direction="maximize", load_if_exists=True
                )
                saved = self.study.user_attrs
                for name in content.keys() - saved.keys():
                    self.study.set_user_attr(name, content[name])
            except TrainingError:
                raise
            except Exception as error:  # whatever a driver raises; its message may have the password of the database
                raise TrainingError(
                    f"the storage of the study cannot be opened ({type(error).__name__}); expected a journal file in "
                    "a folder that exists, or the URL of a database whose driver is installed"
                ) from error
        for name, value in saved.items():
            if value != content.get(name):
                raise TrainingError(f"{folder}: its study has another {name}; name another --folder for a new study")
        # Several processes with one seed would try the same settings.
        seed = space.study.seed + len(self.study.trials)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            # constant_liar: trials that run in other processes count as poor, so that the same is not tried twice
            self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.study.pruner = (
            optuna.pruners.MedianPruner(space.study.startup_trials, space.study.warmup_epochs)
            if space.study.pruner == "median"
            else optuna.pruners.NopPruner()
        )

    def run(
        self,
        trials: int,
        *,
        on_epoch: Callable[[RunDirectory], None] = lambda _: None,
        on_trial: Callable[[], None] = lambda: None,
    ) -> None:
        """Run trials until `trials` of the study are completed, stopped early or running in another process.

        Trials of killed processes of this machine are continued first. A trial whose settings do not fit together
        fails, and another one takes its place.

        Args:
            on_epoch: called after each epoch of a trial.
            on_trial: called after each trial.

        Raises TrainingError when training is stopped or cannot go on, or MAX_FAILED trials in a row fail.
        """
        failed = 0
        while claimed := self._claim(trials):
            trial, lock = claimed
            with lock:
                failed = 0 if self._train(trial, on_epoch) else failed + 1
            on_trial()
            if failed == MAX_FAILED:
                raise TrainingError(f"{self._folder}: {failed} trials in a row failed; see the reasons above")

    def run_folder(self, number: int) -> Path:
        """Return the run folder of trial `number`."""
        return self._folder / f"trial-{number:04d}"

    def _claim(self, trials: int) -> tuple[Trial, IO[bytes]] | None:
        """Return a trial and the lock of its folder, which this process holds; None when there are enough `trials`."""
        with _locked(self._folder / LOCK_NAME):
            known = self.study.get_trials(deepcopy=False)
            # A trial without a folder here runs on another machine.
            running = [
                each for each in known if each.state == TrialState.RUNNING and self.run_folder(each.number).is_dir()
            ]
            for frozen in running:
                if lock := _try_lock(self.run_folder(frozen.number) / LOCK_NAME):
                    _log.info("trial %d: continued, its process has ended", frozen.number)
                    study_id = self._storage.get_study_id_from_name(STUDY_NAME)
                    trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, frozen.number)
                    trial = Trial(self.study, trial_id)
                    break
            else:
                if sum(each.state in COUNTED for each in known) >= trials:
                    return None
                trial = self.study.ask()
                self.run_folder(trial.number).mkdir(parents=True, exist_ok=True)
                lock = _try_lock(self.run_folder(trial.number) / LOCK_NAME)
                if lock is None:
                    raise TrainingError(f"{self._folder}: trial {trial.number} is locked; does another study use it?")
            for name, parameter in self._space.search.items():
                _suggest(trial, name, parameter)
            trial.set_user_attr("attempts", trial.user_attrs.get("attempts", 0) + 1)
            return trial, lock

    def _train(self, trial: Trial, on_epoch: Callable[[RunDirectory], None]) -> bool:
        """Train a trial and tell the study its result; return whether it could be trained."""
        run_dir, metric = self.run_folder(trial.number), self._space.study.metric
        _log.info("trial %d: %s", trial.number, ", ".join(f"{name} {value}" for name, value in trial.params.items()))
        reported = self.study.trials[trial.number].intermediate_values

        def report(run: RunDirectory) -> None:
            on_epoch(run)
            epoch, value = read_metric(run, metric)[-1]
            if epoch not in reported:  # a continued trial repeats the epoch in which its process was killed
                trial.report(value, epoch)
            trial.set_user_attr(SECONDS, float(_history(run)[-1]["seconds"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            if trial.user_attrs["attempts"] > MAX_ATTEMPTS:
                raise TrainingError(f"its process ended {MAX_ATTEMPTS} times; is there enough memory?")
            settings = replace(self._space.settings(trial.params), data=Path(self._dataset.source).name)
            train(settings, self._dataset, run_dir, resume=(run_dir / "settings.json").exists(), on_epoch=report)
        except optuna.TrialPruned:
            _log.info("trial %d: stopped early, %s is below the median", trial.number, metric)
            self.study.tell(trial, state=TrialState.PRUNED)
            return True
        except EmotionEdgeError as error:
            if isinstance(error.__context__, KeyboardInterrupt | FileError):  # Ctrl-C or a full disk: to be continued
                raise
            _log.warning("trial %d: failed: %s", trial.number, error)
            trial.set_user_attr("error", str(error)[:300])
            self.study.tell(trial, state=TrialState.FAIL)
            return False
        except Exception:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        finally:
            keras.backend.clear_session()
        self.study.tell(trial, max(value for _, value in read_metric(RunDirectory(run_dir), metric)))
        return True


def _open_storage(storage: str) -> optuna.storages.BaseStorage:
    if "://" in storage:
        return optuna.storages.get_storage(storage)
    if Path(storage).is_file():
        with Path(storage).open("rb") as file:
            start = file.read(len(JOURNAL_START))
        if start not in (b"", JOURNAL_START):
            raise TrainingError(f"{storage}: not the journal of a study, which would be added to it; name another file")
    return optuna.storages.JournalStorage(JournalFileBackend(storage))


def _suggest(trial: Trial, name: str, parameter: Parameter) -> None:
    if parameter.choices:
        trial.suggest_categorical(name, parameter.choices)
    elif parameter.is_integer:
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        trial.suggest_int(name, low, high, step=step, log=parameter.log)
    else:
        trial.suggest_float(name, parameter.low, parameter.high, step=parameter.step, log=parameter.log)


def read_metric(run: RunDirectory, metric: str) -> list[tuple[int, float]]:
    """Return each epoch of `run` with its `metric` of PublicTest."""
    return [(int(row["epoch"]), float(row[f"val_{metric}"])) for row in _history(run)]


def _history(run: RunDirectory) -> list[dict[str, str]]:
    with run.history.open(newline="") as file:
        return list(csv.DictReader(file))


def _try_lock(path: Path) -> IO[bytes] | None:
    """Return the open file at `path`, locked until it is closed or this process ends; None if another one has it."""
    file = path.open("ab")
    try:
        lock_file(file.fileno(), wait=False)
    except (BlockingIOError, PermissionError):  # on Linux and macOS; on Windows
        file.close()
        return None
    return file


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file at `path`; waits for it."""
    with path.open("ab") as file:
        lock_file(file.fileno(), wait=True)
        yield
