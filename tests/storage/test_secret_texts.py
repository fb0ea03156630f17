"""What counts as a credential among arguments and in a sweep file, and what only sounds like one."""

from __future__ import annotations

import base64
import datetime
import urllib.parse

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from hypothesis import given
from hypothesis import strategies as st

from hptune.errors import ConfigurationError
from hptune.storage import refuse_secrets, texts_of

KEYS = st.binary(min_size=64, max_size=64).map(lambda raw: base64.b64encode(raw).decode())
NAMES = st.sampled_from(
    ["sas", "SAS", "sas_token", "access_key", "account-key", "storage_key", "connection_string", "sig", "AccountKey",
     "SharedAccessSignature", "AZURE_STORAGE_KEY", "password", "fs.s3a.secret.key", "fs.azure.sas.data.account"]
)  # fmt: skip
PLAIN = st.text(alphabet="abcxyz019_-./ ", max_size=12)
WRAPPED = ["{}", "--data={}", "x={}", "data.path='{}'", "az://account/data?{}", "note: {}"]


def is_refused(*texts: str) -> bool:
    try:
        refuse_secrets(texts, "the command line")
    except ConfigurationError as error:
        assert not any(text in str(error) for text in texts)
        return True
    return False


def sas(key: str) -> str:
    expiry = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    permission = ContainerSasPermissions(read=True)
    return generate_container_sas("account", "data", account_key=key, permission=permission, expiry=expiry)


@given(key=KEYS, wrapped=st.sampled_from(WRAPPED))
def test_tokens_keys_and_connection_strings_are_refused_wherever_they_stand(key: str, wrapped: str) -> None:
    token = sas(key)
    signature = "sig=" + urllib.parse.parse_qs(token)["sig"][0]
    string = (
        f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={key};EndpointSuffix=core.windows.net"
    )
    shared = f"BlobEndpoint=https://account.blob.core.windows.net;SharedAccessSignature={token}"
    for secret in (key, token, f"?{token}", signature, string, f"AccountKey={key}", shared):
        assert is_refused("sweep", "--set", wrapped.format(secret))
        assert is_refused(*texts_of({"data": {"path": wrapped.format(secret)}}))
        assert is_refused(*texts_of({"spark": {wrapped.format(secret): True}, "list": [[secret]]}))


@given(before=PLAIN, name=NAMES, after=PLAIN)
def test_names_alone_are_not(before: str, name: str, after: str) -> None:
    """A file, a column or a run may be called like a credential."""
    text = f"{before.lstrip('-')}{name}{after}"
    assert not is_refused("sweep", "--data", text, "--target", name, "--set", f"data.id={name}")
    assert not is_refused(
        *texts_of({"data": {"path": text, "target": name}, "search_space": {name: [1, 0.5]}})
    )
    assert not is_refused(*texts_of({"spark": {name: None}, "params": {name: {"value": 1}}}))


@pytest.mark.parametrize(
    "text",
    [
        "sas.csv",
        "data/sas",
        "access_key",
        "runs/account-key-study",
        "connection_string.parquet",
        "data.target=access_key",
        "search_space.sig=[0.5, 0.7]",
        "search_space.sas=[1, 2]",
        "design=sig",
        "spark.spark.hadoop.fs.azure.account.keyprovider.a.dfs.core.windows.net=org.apache.Provider",
        "spark.spark.hadoop.fs.azure.sas.token.provider.type.a=org.apache.Provider",
        "spark.spark.hadoop.fs.azure.account.oauth2.refresh.token.endpoint=https://login.example/token",
        "spark.spark.hadoop.fs.s3a.secret.key=${env.SECRET}",
        "spark.spark.hadoop.fs.s3a.aws.credentials.provider=com.amazonaws.auth.Provider",
    ],
)
def test_what_only_sounds_like_a_credential_is_taken(text: str) -> None:
    assert not is_refused("sweep", "--data", text)
    key, _, value = text.partition("=")
    assert not is_refused(*texts_of({key: value or None}))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--account-key", "topsecret"),
        ("--account-key=topsecret",),
        ("--sas", "topsecret"),
        ("--sas_token=topsecret",),
        ("--connection-string", "topsecret"),
        ("--set", "account_key=topsecret"),
        ("--set", "x=sig=topsecret"),
        ("--data", "https://a.blob.core.windows.net/data?sv=1&sig=topsecret"),
        ("AZURE_STORAGE_KEY=topsecret",),
        ("--set", "x=AZURE_STORAGE_SAS_TOKEN=topsecret"),
        ("--set", "spark.spark.hadoop.fs.azure.account.key.a.dfs.core.windows.net=topsecret"),
        ("--set", "spark.spark.hadoop.fs.azure.sas.data.a.blob.core.windows.net=topsecret"),
        ("--set", "spark.spark.hadoop.fs.azure.sas.fixed.token.a=topsecret"),
        ("--set", "spark.spark.hadoop.fs.azure.account.oauth2.client.secret=topsecret"),
        ("--set", "spark.spark.hadoop.fs.s3a.bucket.data.secret.key=topsecret"),
        ("--set", "spark.spark.hadoop.fs.s3a.session.token=topsecret"),
        ("--set", "spark.spark.hadoop.fs.gs.auth.service.account.private.key=topsecret"),
        ("--set", "spark={spark.hadoop.fs.s3a.secret.key: topsecret}"),
        ("--set", "spark={'spark.hadoop.fs.s3a.secret.key': 'topsecret'}"),
    ],
)
def test_credentials_by_their_names_are_refused(arguments: tuple[str, ...]) -> None:
    assert is_refused("sweep", *arguments)


def test_settings_with_a_secret_are_refused_in_a_sweep_file() -> None:
    for name in (
        "fs.azure.account.key.a.dfs.core.windows.net",
        "fs.s3a.access.key",
        "fs.azure.sas.fixed.token",
    ):
        assert is_refused(*texts_of({"spark": {f"spark.hadoop.{name}": "topsecret"}}))
