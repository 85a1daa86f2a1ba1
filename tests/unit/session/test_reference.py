"""How a generator file's training data are found again, and what its header may not do."""

from types import SimpleNamespace

import pytest

from banach.generator import GeneratorError
from banach.session.reference import reading_of


def with_config(text):
    return SimpleNamespace(about=SimpleNamespace(config=text))


def test_only_the_keys_of_the_data_are_obeyed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()")
    header = "data: 8gaussians:n=500\nholdout: 0.2\nseed: 3\nspace: Nowhere(3)\nplugin: [evil.py]\n"
    config = reading_of(with_config(header))  # type: ignore[arg-type]
    assert (config.data, config.holdout, config.seed, config.plugin) == ("8gaussians:n=500", 0.2, 3, ())
    assert not (tmp_path / "ran").exists()


def test_a_file_without_config_says_so():
    with pytest.raises(GeneratorError, match="name them with --data"):
        reading_of(with_config(""))  # type: ignore[arg-type]
