"""The profile and the credentials are those of botocore, and their errors have one line."""

import os
import sys

import pytest

from tests.support import http_server
from toytip.errors import ConfigError, StoreError
from toytip.io import aws_profile

CONFIG = """
[profile dev]
region = eu-west-1
services = local
credential_process = {process}
[profile broken]
credential_process = {python} -c 'import sys; sys.exit("no ticket")'
[profile sso]
sso_session = corporate
sso_account_id = 1
sso_role_name = reader
[sso-session corporate]
sso_start_url = https://corporate.example/start
sso_region = eu-west-1
[profile role]
role_arn = arn:aws:iam::1:role/reader
source_profile = missing
[profile reader]
role_arn = arn:aws:iam::1:role/reader
source_profile = keys
region = us-east-1
[profile keys]
aws_access_key_id = SOURCE
aws_secret_access_key = secret
[services local]
s3 =
  endpoint_url = http://127.0.0.1:8333
"""


@pytest.fixture
def configure(monkeypatch, tmp_path):
    """Select a profile of a configuration file, without credentials in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def configure(profile, process="none"):
        text = CONFIG.format(process=process, python=sys.executable)
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("AWS_PROFILE", profile)

    return configure


def test_an_unknown_profile_is_one_error_that_lists_the_profiles(configure):
    configure("nosuch")
    for call in (
        aws_profile.profile_values,
        aws_profile.has_credentials,
        aws_profile.current_credentials,
    ):
        with pytest.raises(
            ConfigError, match="cannot use AWS_PROFILE=nosuch: there is no such AWS profile"
        ) as e:
            call()
        assert e.value.hint == "Choose from broken, dev, keys, reader, role, sso, or unset AWS_PROFILE."


@pytest.mark.parametrize(
    ("profile", "cause", "hint"),
    [
        ("broken", "custom-process", "Check the AWS profile"),
        ("sso", "Token for corporate does not exist", "aws sso login --profile sso"),
        ("role", '"missing" referenced in the profile "role" does not exist', "Check the AWS profile"),
    ],
)
def test_credentials_that_cannot_be_retrieved_are_one_error(profile, cause, hint, configure):
    configure(profile)
    with pytest.raises(StoreError, match="cannot get AWS credentials: ") as caught:
        aws_profile.current_credentials()
    assert cause in str(caught.value)
    assert hint in caught.value.hint


def test_a_profile_has_an_endpoint_and_credentials_that_are_renewed(configure, tmp_path):
    """The first credentials expire in a minute, so the process is called again."""
    script, count = tmp_path / "keys.py", tmp_path / "count"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        "ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1 if number == 1 else 60)\n"
        "keys = {'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's', 'SessionToken': 't'}\n"
        "print(json.dumps({**keys, 'Expiration': ends.isoformat()}))\n"
    )
    configure("dev", f"{sys.executable} {script}")
    assert aws_profile.profile_values()["services"] == {"s3": {"endpoint_url": "http://127.0.0.1:8333"}}
    assert aws_profile.has_credentials()
    assert [aws_profile.current_credentials().access_key for _ in range(2)] == ["KEY2", "KEY2"]
    assert count.read_text() == "2"


def test_a_changed_environment_counts_at_once(configure, monkeypatch):
    configure("dev")
    monkeypatch.delenv("AWS_PROFILE")
    assert not aws_profile.has_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "B")
    assert aws_profile.current_credentials() == ("A", "B", None)


ASSUMED_ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>A:x</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/reader/x</Arn>
</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"""


def test_a_role_is_assumed_with_the_keys_of_its_source_profile(configure, monkeypatch):
    configure("reader")
    requests = []

    class Handler(http_server.Handler):
        def respond(self):
            requests.append(self.headers["Authorization"])
            self.read_body()
            self.answer(200, ASSUMED_ROLE.encode())

    with http_server.serve(Handler) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
        assert aws_profile.current_credentials() == ("ASSUMED", "s", "t")
    assert "Credential=SOURCE/" in requests[0]
