"""One trial: measured, given up, or failed with its reason."""

import re

import pytest
from searches import NO_NUMBER, searched, task

from trigger.search.trial import CHANGED, COMPLETE, FAILED, HOPELESS, run_trial

pytestmark = pytest.mark.minutes


class TestTrial:
    def test_it_is_measured(self, tmp_path):
        found = run_trial(task(searched(tmp_path / "small")))
        assert found.state == COMPLETE and found.reason == "" and len(found.rungs) == 3
        assert (
            0.5 < found.metric <= 1
            and found.lut > 0
            and found.ff > 0
            and found.latency_ns > 1000 / 360
        )

    def test_it_is_given_up(self, tmp_path):
        found = run_trial(task(searched(tmp_path / "small"), bars=(float("inf"), 0.01, 0.01)))
        assert found.state == HOPELESS and len(found.rungs) == 2 and found.metric is None
        assert re.fullmatch(
            r"loss \d\.\d{4} after 3 epochs, above the limit of 0\.0100", found.reason
        )

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (
                NO_NUMBER,
                "training: the loss is NaN or infinite in epoch 1; lower training.learning_rate",
            ),
            (("quantized_relu", "quantized_rely"), r".*model\.py: network\(\) fails: \w+: .*"),
        ],
    )
    def test_it_fails_with_its_reason(self, tmp_path, change, reason):
        path = searched(tmp_path / "small")
        file = path.parent / "model.py"
        file.write_text(file.read_text().replace(*change))
        found = run_trial(task(path))
        assert found.state == FAILED and re.fullmatch(reason, found.reason)

    def test_it_reads_the_files_that_the_search_began_with(self, tmp_path):
        path = searched(tmp_path / "small")
        found = run_trial(task(path, files={"events.csv": "0" * 64}))
        assert found == found._replace(
            state=CHANGED,
            reason=f"{path.parent / 'events.csv'}: has changed since the search began; undo the change and continue with "
            "--resume, or choose another --output",
        )
