"""Translation of nats-py's exceptions into `BusError`s."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from nexus_bus.bus import BusError, NoResponder, NotConnected, PayloadTooLarge, RequestTimeout

# Error codes for "wrong last sequence" (JSStreamWrongLastSequenceErrF), with and without the number.
WRONG_LAST_SEQUENCE = (10071, 10164)
STREAM_NAME_IN_USE = 10058
# Error code for "no message found", as opposed to "stream not found".
NO_MESSAGE = 10037


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translates exceptions raised inside. `what` names the subject, key or stream in the error's text."""
    try:
        yield
    except nats.js.errors.ServiceUnavailableError as error:
        # JetStream is still starting, or its cluster has no leader: treated as an unreachable server.
        raise NotConnected(what) from error
    except (nats.errors.NoRespondersError, nats.js.errors.NoStreamResponseError) as error:
        raise NoResponder(what) from error
    except (
        nats.errors.ConnectionClosedError,
        nats.errors.ConnectionReconnectingError,
        nats.errors.ConnectionDrainingError,
        nats.errors.OutboundBufferLimitError,
        nats.errors.NoServersError,
    ) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # After a close, nats-py reports a cancelled wait as a closed connection, so the task would go on.
            raise asyncio.CancelledError from error
        raise NotConnected(what) from error
    except nats.errors.MaxPayloadError as error:
        raise PayloadTooLarge(what) from error
    except (TimeoutError, nats.errors.TimeoutError) as error:
        raise RequestTimeout(what) from error
    except nats.errors.Error as error:
        raise BusError(f"{what}: {error}") from error
