"""Where data/ and notebooks/ are looked for: the installed package first, then the checkout."""

import pytest

from simkit import resources


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "simkit").mkdir()
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "simkit" / "resources.py"))
    return tmp_path / "simkit"


def test_an_installed_package_has_its_own(package):
    (package / "data").mkdir()
    assert resources.root("data") == package / "data"
    assert resources.checkout() is None


def test_a_checkout_has_them_beside_the_package(package):
    (package.parent / "notebooks").mkdir()
    (package.parent / "pyproject.toml").touch()
    assert resources.root("notebooks") == package.parent / "notebooks"
    assert resources.checkout() == package.parent


def test_a_stranger_beside_an_installed_package_is_not_ours(package):
    (package.parent / "data").mkdir()  # site-packages/data of somebody else
    with pytest.raises(FileNotFoundError, match="folder 'data' is missing"):
        resources.root("data")


def test_adapters_lie_in_the_data():
    assert resources.adapters("population") == resources.root("data") / "adapters" / "population"


def test_only_known_folders():
    with pytest.raises(ValueError, match="it must be one of data, notebooks"):
        resources.root("reports")
