"""The keys and the password of a private Airflow."""

import base64
import stat
from pathlib import Path

import pytest

from devtools.errors import LocalAirflowError
from devtools.local_airflow.keys import KEYS_FILE, PASSWORDS_FILE, ensure_keys, ensure_password


def test_keys_are_made_once(tmp_path: Path) -> None:
    """A second call returns the same keys and password, so that a restart can read what was written before."""
    assert ensure_password(tmp_path) == ensure_password(tmp_path)
    assert ensure_keys(tmp_path).fernet_key == ensure_keys(tmp_path).fernet_key
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEYS_FILE, PASSWORDS_FILE]


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    """Both files have mode 0600."""
    ensure_keys(tmp_path)
    ensure_password(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_the_fernet_key_is_valid(tmp_path: Path) -> None:
    """The Fernet key is 32 bytes in URL-safe base64."""
    assert len(base64.urlsafe_b64decode(ensure_keys(tmp_path).fernet_key)) == 32


def test_keys_do_not_show_in_a_traceback(tmp_path: Path) -> None:
    """The text form of the keys contains no key."""
    keys = ensure_keys(tmp_path)
    assert keys.jwt_secret not in repr(keys)


@pytest.mark.parametrize("text", ["", "[]", '{"one": "other"}'], ids=["empty", "a list", "other fields"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    """A file without keys is an error that says which file to delete."""
    (tmp_path / KEYS_FILE).write_text(text)
    with pytest.raises(LocalAirflowError, match=f"{KEYS_FILE} .*Delete it"):
        ensure_keys(tmp_path)
