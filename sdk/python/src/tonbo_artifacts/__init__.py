"""Client for Artifacts: isolated, shared, revocable file storage for sandboxes and AI agents."""

from ._async.client import AsyncArtifacts
from ._async.files import AsyncFileContent
from ._async.holding import AsyncHolding
from ._async.pages import AsyncPaginated
from ._errors import *  # noqa: F403
from ._sync.client import Artifacts
from ._sync.files import FileContent
from ._sync.holding import Holding
from ._sync.pages import Paginated
from ._types import *  # noqa: F403
from ._version import VERSION as __version__
