"""`gyoza-tui` and `python -m gyoza_tui`."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper


def main() -> None:
    """Run the command line; ends the process with one of its exit codes."""
    gc.disable()  # a tenth of the time to the first frame; whoever goes on from there enables it
    # its own command line, with all that it draws with; it goes without, as read at 0.28.1
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    # started without them, as by `>&-`: what is printed goes nowhere, nothing is read, and no file gets their numbers
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show a character shows its code instead of ending the verb
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # as early as in the imports
        code = 130
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of that command line. What a person can cause is told in words on stderr, never as a traceback."""
    from gyoza_tui.cli import SHELL_ASKS
    from gyoza_tui.cli.failures import CliError, ExitCode, ReaderGone
    from gyoza_tui.cli.terminal import out_no_more, say
    from gyoza_tui.models.faults import SettingsError

    result = None
    try:
        if arguments or SHELL_ASKS in os.environ:
            from gyoza_tui.cli.command_line import carried_out

            result = carried_out(arguments)
        else:
            from gyoza_tui.cli.worker import Mode, serve_as_worker

            serve_as_worker({}, Mode())
        sys.stdout.flush()
    except CliError as error:
        say(f"gyoza-tui: {error}")
        return error.code
    except SettingsError as error:
        say(f"gyoza-tui: {error}")
        return ExitCode.USAGE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # of the flush: all is done
        out_no_more()
    except ReaderGone as gone:
        out_no_more()
        if gone.told:
            return ExitCode.DONE
        say("gyoza-tui: nobody reads any more what is printed: what it came to is not told")
        return ExitCode.FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"gyoza-tui: {where}{error.strerror or error}")
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.DONE


if __name__ == "__main__":
    main()
