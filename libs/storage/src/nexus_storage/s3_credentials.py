"""The credentials of an S3 store: the first source of a chain that has any.

The sources are the providers of the `minio` SDK. Its own `ChainedProvider` asks once and keeps the
answer; here the chain is asked for every request, so that a file or variable that is replaced takes
effect, and the last credentials are remembered only to keep them out of messages.
"""

import configparser
from collections.abc import Sequence

from minio.credentials.credentials import Credentials
from minio.credentials.providers import AWSConfigProvider, EnvAWSProvider, IamAwsProvider, Provider
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from nexus_storage.errors import StorageRefused, StorageUnavailable
from nexus_storage.settings import CredentialSource, EnvSource, FileSource, IamSource, KeysSource

# How long the metadata service of a cloud may take; it is on the same host.
_IAM_TIMEOUT = Timeout(connect=2.0, read=5.0)


class CredentialChain(Provider):
    """Asks its providers in their order."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)
        self._secrets: tuple[str, ...] = ()

    def retrieve(self) -> Credentials:
        """Raises StorageRefused if no source has credentials, and StorageUnavailable if the last one
        could not be asked."""
        unreachable = False
        for provider in self._providers:
            try:
                found = provider.retrieve()
            except HTTPError:
                unreachable = True
            except (ValueError, KeyError, OSError, configparser.Error):
                continue
            else:
                secrets = (found.secret_key, found.session_token or "", found.access_key)
                self._secrets = tuple(secret for secret in secrets if secret)
                return found
        if unreachable:
            raise StorageUnavailable("CredentialsUnavailable", "the source of credentials does not answer")
        raise StorageRefused("CredentialsMissing", "no source of credentials has any")

    def redact(self, text: str) -> str:
        """The text without the last credentials."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def provider_of(source: CredentialSource, region: str) -> Provider:
    """The SDK's provider for a source in the configuration."""
    match source:
        case EnvSource():
            return EnvAWSProvider()
        case FileSource(path=path, profile=profile):
            return AWSConfigProvider(None if path is None else str(path), profile or None)
        case IamSource(endpoint=endpoint):
            client = PoolManager(timeout=_IAM_TIMEOUT, retries=False)
            return IamAwsProvider(custom_endpoint=endpoint or None, http_client=client, region=region)
        case KeysSource():
            return _Keys(source)


class _Keys(Provider):
    """A key of the configuration; its files are read for every request."""

    def __init__(self, source: KeysSource) -> None:
        self._source = source

    def retrieve(self) -> Credentials:
        return Credentials(self._source.read_access_key(), self._source.read_secret_key())
