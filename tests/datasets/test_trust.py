"""Stored code of a project is executed only if the user has run it from a file, or allows it."""

import os

import pytest
from distributed.protocol import pickle

from tests.support.models import train_model
from tests.support.projects import MYTIPS, module_of
from toytip.config import Settings
from toytip.core.dataset.dataset import load_dataset
from toytip.datasets.project import trust
from toytip.datasets.project.loader import load_project
from toytip.datasets.project.trust import CodePolicy
from toytip.errors import CodeError
from toytip.models.code_policy import apply_code_policy
from toytip.pipeline.startup.project import read_project
from toytip.store.artifacts import model_from_bytes, model_to_json

# Python executes the text only once per process, so that each test has a text of its own.
MARKED = f"{MYTIPS}\nimport os\nos.environ['TEST_EXECUTED'] = '{{}}'\n"


@pytest.fixture
def source(request, monkeypatch):
    """The text of a module that nobody has executed, in a process that knows no text."""
    monkeypatch.setattr(trust, "_TRUSTED", set())
    monkeypatch.setattr(trust, "_POLICY", [CodePolicy()])
    monkeypatch.setenv("TEST_EXECUTED", "")
    return MARKED.format(request.node.name)


def forget(monkeypatch):
    """Behave as a new process of the same user."""
    monkeypatch.setattr(trust, "_TRUSTED", set())


def require_refused(source):
    executed = os.environ["TEST_EXECUTED"]
    module = module_of(source)
    with pytest.raises(
        CodeError, match=rf"cannot run the code of the module mytips.py .*{module.digest[:12]}"
    ) as caught:
        load_dataset(module)
    assert "TOYTIP_ALLOW_PROJECT_CODE=true" in caught.value.hint
    assert os.environ["TEST_EXECUTED"] == executed


def test_unknown_code_is_not_executed(source):
    require_refused(source)


def test_the_code_of_a_model_is_not_executed(source, monkeypatch):
    model = train_model("yellow", dataset=load_project(module_of(source)))
    content = model_to_json(model)
    assert model_from_bytes(content, model.booster).encoding == model.encoding
    forget(monkeypatch)
    with pytest.raises(CodeError, match=r"cannot run the code of the module mytips.py"):
        model_from_bytes(content, model.booster)


def test_a_setting_allows_all_code(source, monkeypatch, tmp_path):
    apply_code_policy(Settings.load(state_dir=str(tmp_path), allow_project_code=True))
    assert load_dataset(module_of(source)).module.source == source
    forget(monkeypatch)
    apply_code_policy(Settings.load(state_dir=str(tmp_path)))
    require_refused(source)


def test_code_that_the_user_has_run_from_a_file_is_executed_later(source, monkeypatch, tmp_path):
    settings = Settings.load(state_dir=str(tmp_path / "state"))
    file = tmp_path / "mytips.py"
    file.write_text(source)
    apply_code_policy(settings)
    read_project(str(file), "green")
    forget(monkeypatch)
    apply_code_policy(Settings.load(state_dir=str(tmp_path / "other")))
    require_refused(source)
    apply_code_policy(settings)
    require_refused(f"{source}\n# an edit")
    assert load_dataset(module_of(source)).module.source == source
    assert (tmp_path / "state" / "project-code").stat().st_mode & 0o077 == 0


def test_the_code_of_the_own_module_is_executed(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toytip.toml").write_text('[project]\nmodule = "mytips.py"\n')
    apply_code_policy(Settings.load(state_dir=str(tmp_path)))
    require_refused(source)  # the file does not exist
    (tmp_path / "mytips.py").write_text(source.replace("LIMIT = 1000", "LIMIT = 900"))
    require_refused(source)
    (tmp_path / "mytips.py").write_text(source)
    assert load_dataset(module_of(source)).module.source == source


def test_a_folder_that_is_not_writable_is_no_error(source, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "mytips.py").write_text(source)
    apply_code_policy(Settings.load(state_dir=str(tmp_path / "file")))
    read_project(str(tmp_path / "mytips.py"), "green")
    assert load_dataset(module_of(source)).module.source == source, "this process knows the code"
    forget(monkeypatch)
    require_refused(source)


def test_a_pickle_needs_no_permission(source, monkeypatch):
    """A worker gets the code from its client, which can execute any code there."""
    data = pickle.dumps(load_project(module_of(source)))
    forget(monkeypatch)
    assert pickle.loads(data).module.source == source
