"""The keys and the password of one private Airflow; they are made once, kept in its home, and never logged."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from devtools.errors import LocalAirflowError

USER = "admin"
KEYS_FILE = "keys.json"
PASSWORDS_FILE = "passwords.json"


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Keys:
    """The keys that Airflow's processes share; a restart needs the same keys to read what was written before."""

    fernet_key: str
    api_secret_key: str
    jwt_secret: str


def ensure_keys(home: Path) -> Keys:
    """Return the keys of `home`; make them when there are none."""
    fresh = Keys(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        api_secret_key=secrets.token_urlsafe(32),
        jwt_secret=secrets.token_urlsafe(64),
    )
    kept = _read_or_write(home / KEYS_FILE, asdict(fresh))
    try:
        return Keys(**kept)
    except TypeError:
        msg = f"{home / KEYS_FILE} does not hold the keys of an Airflow. Delete it, and new keys are made."
        raise LocalAirflowError(msg) from None


def ensure_password(home: Path) -> str:
    """Return the password of the user `admin`, from the file that Airflow's own login reads."""
    kept = _read_or_write(home / PASSWORDS_FILE, {USER: secrets.token_urlsafe(12)})
    if USER not in kept:
        msg = f"{home / PASSWORDS_FILE} names no user {USER!r}. Delete it, and a password is made."
        raise LocalAirflowError(msg)
    return kept[USER]


def _read_or_write(path: Path, fresh: dict[str, str]) -> dict[str, str]:
    """Return the content of `path`; a missing file is written atomically with mode 0600, by one process only."""
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(fresh) + "\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # another process was first, so its file counts
        finally:
            temporary.unlink()
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in kept.items()}
    except (ValueError, AttributeError):
        msg = f"{path} is not a JSON object. Delete it, and a new file is made."
        raise LocalAirflowError(msg) from None
