import errno

from faceren.errors import FacerenError, ImageError, UncertainError, may_pass, unforeseen


def test_what_the_machine_did_may_pass_and_a_damaged_file_does_not():
    assert may_pass(OSError(errno.EIO, "Input/output error"))
    assert may_pass(MemoryError())
    caused = ImageError("a.png")
    caused.__cause__ = OSError(errno.EIO, "Input/output error")
    assert may_pass(caused)
    assert may_pass(UncertainError("a.png: nobody knows why"))
    assert not may_pass(ImageError("a.png: damaged"))
    assert not may_pass(ValueError("damaged"))
    assert not may_pass(None)


def test_an_error_that_is_its_own_cause_ends():
    error = ImageError("a.png: damaged")
    error.__cause__ = error
    assert not may_pass(error)


def test_an_unforeseen_error_is_one_line():
    found = unforeseen(ValueError("two\nlines"))
    assert isinstance(found, FacerenError)
    assert str(found) == "ValueError: two lines; not foreseen, --debug tells where"
