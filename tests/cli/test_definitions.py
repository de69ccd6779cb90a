"""What is read from the source of methods and networks is what they are once imported."""

import inspect

import pytest

from cnlw_tools.cli.definitions import describe_method, first_line
from cnlw_tools.methods import METHODS
from cnlw_tools.trainer.nets import NETS


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    """Summary, paper, cost, needs and options are those of the class."""
    method = METHODS[name]
    _task, *options = inspect.signature(method).parameters.values()
    found = describe_method(METHODS.target(name))

    assert found.summary == method.__doc__.splitlines()[0].replace("``", "")
    assert found.paper == method.paper
    assert found.relative_cost == method.relative_cost
    assert found.requires == method.requires
    assert found.options == {option.name: option.default for option in options}


@pytest.mark.parametrize("name", NETS)
def test_networks(name):
    """The first line is that of the function."""
    assert first_line(NETS.target(name)) == NETS[name].__doc__.splitlines()[0]


def test_no_such_definition():
    """A wrong name in a registry is an error that names it."""
    with pytest.raises(LookupError, match=r"methods.vanilla defines no 'Vanila'"):
        first_line("cnlw_tools.methods.vanilla:Vanila")
