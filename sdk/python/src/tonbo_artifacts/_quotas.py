"""How quotas are changed."""

from __future__ import annotations

import enum
from typing import Any, Dict, Union

from ._call import Null


class Keep(enum.Enum):
    """What is left as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP

#: A new limit, ``None`` for no limit, or what there is now.
Quota = Union[int, None, Keep]


def quotas(quota_bytes: Quota, quota_inodes: Quota) -> Dict[str, Any]:
    """The body of a call that changes quotas."""
    given = {"quota_bytes": quota_bytes, "quota_inodes": quota_inodes}
    return {name: Null.NULL if limit is None else limit for name, limit in given.items() if limit is not KEEP}
