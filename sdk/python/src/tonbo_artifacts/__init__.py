"""Client for Artifacts: isolated, shared, revocable file storage for sandboxes and AI agents."""

from ._async.client import AsyncArtifacts as AsyncArtifacts
from ._async.files import AsyncFileContent as AsyncFileContent
from ._async.holding import AsyncHolding as AsyncHolding
from ._async.pages import AsyncPaginated as AsyncPaginated
from ._errors import *  # noqa: F403
from ._sync.client import Artifacts as Artifacts
from ._sync.files import FileContent as FileContent
from ._sync.holding import Holding as Holding
from ._sync.pages import Paginated as Paginated
from ._types import *  # noqa: F403
from ._version import VERSION as __version__
