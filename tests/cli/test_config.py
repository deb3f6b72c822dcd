"""Order of the sources of settings."""

import pytest

from tests.support.runs import parse_summary, run_toytip
from toytip.config import Settings
from toytip.errors import ConfigError


@pytest.mark.parametrize("place", ["flag", "environment", ".env", "toytip.toml"])
def test_a_params_file_is_read_wherever_it_is_set(place, tmp_path, monkeypatch):
    """Order: flags, parameter file, environment, .env, toytip.toml, defaults."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned.toml").write_text("rounds = 40\nmax_depth = 4\nlearning_rate = 0.4\n")
    toml, env = (
        "rounds = 10\nreg_lambda = 2.0\nmin_child_weight = 2.0\n",
        "TOYTIP_REG_LAMBDA=3\nTOYTIP_GAMMA=3\n",
    )
    monkeypatch.setenv("TOYTIP_MAX_DEPTH", "5")
    monkeypatch.setenv("TOYTIP_GAMMA", "5")
    flags = {"learning_rate": 0.6}
    if place == "flag":
        flags["params"] = "tuned.toml"
    elif place == "environment":
        monkeypatch.setenv("TOYTIP_PARAMS", "tuned.toml")
    elif place == ".env":
        env += "TOYTIP_PARAMS=tuned.toml\n"
    else:
        toml += 'params = "tuned.toml"\n'
    (tmp_path / "toytip.toml").write_text(toml)
    (tmp_path / ".env").write_text(env)
    settings = Settings.load(**flags)
    assert settings.learning_rate == 0.6  # flag
    assert (settings.rounds, settings.max_depth) == (40, 4)  # parameter file
    assert settings.gamma == 5  # environment
    assert settings.reg_lambda == 3  # .env
    assert settings.min_child_weight == 2  # toytip.toml
    assert settings.early_stopping_rounds == Settings.model_fields["early_stopping_rounds"].default
    assert settings.params == "tuned.toml"


def test_a_params_file_that_is_set_must_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOYTIP_PARAMS", "missing.toml")
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        Settings.load()


def test_settings_are_printed_with_masked_credentials(tmp_path):
    done = run_toytip(
        "config", "--json", "--source", "s3://key:secret@bucket/x", cwd=tmp_path, TOYTIP_ROUNDS="7"
    )
    assert "secret" not in done.stdout
    assert parse_summary(done)["rounds"] == 7
    assert "rounds = 300" in run_toytip("config").stdout


@pytest.mark.parametrize(
    ("key", "hint"), [("modul", "Did you mean module?"), ("file", "Set module in the section [project]")]
)
def test_an_unknown_key_of_the_project_has_a_hint(tmp_path, monkeypatch, key, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text(f'[project]\n{key} = "mytips.py"\n')
    with pytest.raises(ConfigError, match=rf"project\.{key}: there is no setting {key}") as caught:
        Settings.load()
    assert hint in caught.value.hint


def test_an_invalid_setting_names_the_places_to_change(monkeypatch):
    monkeypatch.setenv("TOYTIP_MAX_DEPTH", "99")
    with pytest.raises(ConfigError, match="cannot use setting max_depth='99': input should be less") as error:
        Settings.load()
    assert error.value.hint == "Change the setting in the command, in TOYTIP_MAX_DEPTH, .env or toytip.toml."


@pytest.mark.parametrize(
    ("name", "number"), [("alert_psi", "inf"), ("min_child_weight", "Infinity"), ("gamma", "nan")]
)
def test_a_number_that_json_lacks_is_an_error(name, number, monkeypatch):
    monkeypatch.setenv(f"TOYTIP_{name.upper()}", number)
    with pytest.raises(ConfigError, match=f"cannot use setting {name}='{number}': input should be"):
        Settings.load()


@pytest.mark.parametrize("text", ["rounds = true", "workers = false", "gamma = true", "store = true"])
def test_a_number_or_a_text_cannot_be_true_or_false(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text(text)
    name, value = text.split(" = ")
    message = f"cannot use setting {name}={value.capitalize()}: must not be true or false"
    with pytest.raises(ConfigError, match=message):
        Settings.load()
    (tmp_path / "toytip.toml").write_text("full_refresh = true")
    assert Settings.load().full_refresh


def test_an_unknown_key_in_the_settings_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text('featurset = "seed"\n[clusters.lab]\nkind = "local"\n')
    with pytest.raises(ConfigError, match=r"cannot use toytip.toml: there is no setting featurset") as error:
        Settings.load()
    assert error.value.hint == "Did you mean feature_set?"


def test_an_invalid_value_in_a_params_file_names_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text('params = "p.toml"\n')
    with pytest.raises(ConfigError, match=r"cannot read parameter file p.toml: no such file or directory"):
        Settings.load()
    (tmp_path / "p.toml").write_text("max_depth = 99\n")
    with pytest.raises(ConfigError, match="max_depth=99") as error:
        Settings.load()
    assert error.value.hint == "Change the setting in parameter file p.toml."


def test_a_variable_that_is_not_json_is_an_error(monkeypatch):
    monkeypatch.setenv("TOYTIP_CLUSTERS", "lab")
    with pytest.raises(ConfigError, match=r"cannot read settings: .*clusters"):
        Settings.load()


def test_the_files_of_settings_can_have_a_byte_order_mark(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text("rounds = 7\nparams = 'p.toml'\n", encoding="utf-8-sig")
    (tmp_path / ".env").write_text("TOYTIP_WORKERS=3\n", encoding="utf-8-sig")
    (tmp_path / "p.toml").write_text("max_depth = 4\n", encoding="utf-8-sig")
    settings = Settings.load()
    assert (settings.rounds, settings.workers, settings.max_depth) == (7, 3, 4)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_settings_file_in_another_encoding_is_an_error(encoding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text("store = 'grün'\n", encoding=encoding)
    with pytest.raises(ConfigError, match=r"cannot read toytip.toml: it is not text in UTF-8") as error:
        Settings.load()
    assert error.value.hint == "Save the file in UTF-8."
    (tmp_path / "toytip.toml").unlink()
    (tmp_path / ".env").write_text("TOYTIP_STORE=grün\n", encoding=encoding)
    done = run_toytip("config", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: cannot read .env: it is not text in UTF-8",
        "hint: Save the file in UTF-8.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('store = "a\\u0000b"', r"cannot use setting store='a.*b': must not contain a null character"),
        (f"store = {'[' * 3_000}", r"cannot read toytip.toml: maximum recursion depth exceeded"),
    ],
)
def test_an_impossible_value_in_a_settings_file_is_an_error(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Settings.load()


def test_a_tilde_in_a_path_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "toytip.toml").write_text('store = "~/store"\ndata_dir = "~other/data"\n')
    settings = Settings.load()
    assert settings.store == str(tmp_path / "home" / "store")
    assert settings.data_dir == "~other/data"
    (tmp_path / "~" / "store").mkdir(parents=True)
    assert Settings.load().store == "~/store"


def test_spaces_around_a_setting_do_not_count(monkeypatch):
    monkeypatch.setenv("TOYTIP_STORE", " a b ")
    monkeypatch.setenv("TOYTIP_MONTHS", "2023-01:2023-03 ")
    assert (Settings.load().store, Settings.load().months) == ("a b", "2023-01:2023-03")
    with pytest.raises(ConfigError, match="cannot use setting store=' ': string should have at least 1"):
        Settings.load(store=" ")


def test_a_settings_file_that_is_no_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toytip.toml"
    path.symlink_to("none.toml")
    with pytest.raises(ConfigError, match=r"cannot read toytip.toml: no such file or directory"):
        Settings.load()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=r"cannot read toytip.toml: is a directory"):
        Settings.load()


def test_a_year_in_the_settings_file_can_be_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text("months = 2023\n")
    assert Settings.load().months == "2023"


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("TOYTIP_ROUND", "warning: TOYTIP_ROUND is not a setting. Did you mean TOYTIP_ROUNDS?"),
        ("toytip_max_dept", "warning: toytip_max_dept is not a setting. Did you mean TOYTIP_MAX_DEPTH?"),
        ("toytip_rounds", None),
        ("TOYTIP_TEST_DATA", None),
        ("ROUND", None),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_misspelled_variable_is_a_warning(name, warning, place, tmp_path):
    if place == ".env":
        (tmp_path / ".env").write_text(f"{name}=3\n")
    done = run_toytip("config", cwd=tmp_path, **({name: "3"} if place == "environment" else {}))
    assert done.returncode == 0
    assert done.stderr.splitlines() == ([warning] if warning else [])
