"""Home: the table of runs, with a preview of the highlighted one."""

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Resize
from textual.widgets import DataTable, Input, Static

from simplexlab.runs import MetricsFollower, Run
from simplexlab.tui.feed import RunFeed
from simplexlab.tui.launch import Launch
from simplexlab.tui.screens.base import FollowingScreen
from simplexlab.tui.screens.dialogs import Confirm
from simplexlab.tui.views import explain
from simplexlab.tui.views import run as views
from simplexlab.tui.views.form import texts_of
from simplexlab.tui.views.records import age, duration, experiment_of, going_to, named, repeat_command, time_to_fit
from simplexlab.tui.views.table import (
    COLUMNS,
    CURVES,
    MIDDLE_COLUMNS,
    NARROW_COLUMNS,
    NARROW_CURVES,
    NARROW_NAMES,
    SORTABLE,
    STATE_SIGNS,
    STYLES,
    cells,
    facts,
    launch_facts,
    matches,
    shortened,
    sort_key,
    spark,
)
from simplexlab.tui.widgets.chart import Chart
from simplexlab.tui.widgets.keys import Keys
from simplexlab.tui.widgets.panel import Facts, Panel

FIRST_COMMAND = "simplexlab train --loss ce --corrupt 0.2"
PREVIEW_RECORDS = 300
PREVIEW_WIDTH, PREVIEW_ROOM = 130, 42
NARROW_WIDTH, FULL_WIDTH = 118, 146
CURVED_WIDTH = 97  # of a narrow table, from which there is room for curves
CURVE_RECORDS = 64
LAUNCH_NAME = 20
SHORTEST_NAME, LONGEST_NAME = 16, 60


class RunsTable(DataTable):
    """The table; it takes the enter key, and says what that does."""

    BINDINGS: ClassVar = [Binding("enter", "select_cursor", "Open")]


class RunsScreen(FollowingScreen):
    """The live table of all runs in the folder."""

    AUTO_FOCUS = "RunsTable"  # never the filter, which takes every key and may be hidden
    CSS = """
    RunsScreen > #where { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis; }
    RunsScreen > #filter { height: 1; display: none; }
    RunsScreen > #filter.-open { display: block; }
    RunsScreen DataTable { height: 1fr; width: 1fr; }
    RunsScreen #preview { width: 42; display: none; }
    RunsScreen.-wide #preview { display: block; }
    RunsScreen #preview-facts { height: 1fr; }
    RunsScreen #empty { height: 1fr; padding: 1 2; display: none; }
    RunsScreen.-empty #empty { display: block; }
    RunsScreen.-empty DataTable, RunsScreen.-empty #preview { display: none; }
    RunsScreen #preview.-launch Chart, RunsScreen #preview.-launch .meaning { display: none; }
    """

    BINDINGS: ClassVar = [
        Binding("n", "app.new_run", "New run"),
        Binding("N", "again", "New from this", show=False),
        Binding("t", "app.toy", "Toy"),
        Binding("l", "app.lessons", "Lessons"),
        Binding("space", "mark", "Mark"),
        Binding("c", "compare", "Compare"),
        Binding("d", "duel", "Duel"),
        Binding("x", "stop", "Stop"),
        Binding("r", "resume", "Resume"),
        Binding("delete", "delete", "Delete", key_display="del"),
        Binding("y", "copy", "Copy command"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
        Binding("escape", "clear", "Clear filter", show=False),
    ]

    def __init__(self):
        super().__init__()
        self.marked: set[str] = set()
        self.words = ""
        self.sorted_by, self.descending = "age", False
        self.narrow: bool | None = None
        self.room = self._shown_room = LONGEST_NAME
        self._keys: tuple[str, ...] = ()
        self.shown: dict[str, Run | Launch] = {}
        self._drawn: dict[str, dict[str, Text]] = {}
        self._order: list[str] = []
        self._feed: RunFeed | None = None
        self._previewed: tuple | None = None
        self._said: dict[str, str] = {}
        self._made: dict[str, tuple] = {}  # run, its curves, what else its cells depend on, the cells
        self._curves: dict[str, tuple[Run, dict[str, str]]] = {}

    def compose(self) -> ComposeResult:
        """Where the runs are, the filter, the table, the preview."""
        yield Static(id="where", markup=False)
        yield Input(placeholder="filter by name, state, dataset, loss, corruption", id="filter", compact=True)
        with Horizontal():
            yield RunsTable(cursor_type="row", zebra_stripes=True, cell_padding=1)
            yield Static(id="empty", markup=False)
            with Panel("Preview", Chart(), id="preview"):
                yield Facts(id="preview-facts")
        yield Keys()

    @property
    def table(self) -> DataTable:
        """The table."""
        return self.query_one(DataTable)

    def on_mount(self) -> None:
        """Begin to follow."""
        self.title = "Runs"
        self._columns()
        self.table.focus()

    def on_resize(self, event: Resize) -> None:
        """Fit the columns to the width."""
        self.set_class(event.size.width >= PREVIEW_WIDTH, "-wide")
        self._columns()

    def _columns(self) -> None:
        width = self.app.size.width - (PREVIEW_ROOM if self.has_class("-wide") else 0)
        narrow = width < NARROW_WIDTH
        curved = narrow and width >= CURVED_WIDTH
        self.room = max(SHORTEST_NAME, width - (CURVED_WIDTH if curved else 80) + 16) if narrow else LONGEST_NAME
        if narrow:
            keys = NARROW_CURVES if curved else NARROW_COLUMNS
        else:
            keys = MIDDLE_COLUMNS if width < FULL_WIDTH else tuple(COLUMNS)
        if (narrow, keys, self.room) == (self.narrow, self._keys, self._shown_room):
            return
        self._shown_room = self.room
        self.narrow, self._keys = narrow, keys
        self.table.clear(columns=True)
        self.table.cell_padding = 0 if narrow else 1
        self._drawn, self._order = {}, []
        for key in keys:
            name = NARROW_NAMES.get(key, COLUMNS[key]) if narrow else COLUMNS[key]
            self.table.add_column(name + (" " if narrow else ""), key=key)
        self.show(self.app.runs, self.app.launcher.launches)

    def show(self, runs: list[Run], launches: list[Launch]) -> None:
        """Draw the runs as they stand; only what changed is touched."""
        if self.narrow is None or not self.query(DataTable):  # not composed yet, or being taken down
            return
        kept = [run for run in runs if not self.words or matches(run, self.words)]
        kept.sort(key=lambda run: sort_key(run, self.sorted_by), reverse=self.descending)
        names = {run.name for run in runs}
        self.marked &= names
        self.shown = {f"launch {id(launch)}": launch for launch in launches} | {run.name: run for run in kept}
        rows = {
            key: self._launch_cells(item) if isinstance(item, Launch) else self._cells(item)
            for key, item in self.shown.items()
        }
        self._update(rows)
        self._follow_curves()
        self.call_after_refresh(self._fit_names)
        self.set_class(not rows, "-empty")
        self._where(len(runs), len(kept))
        self._preview_chosen()

    def _fit_names(self) -> None:
        """Give names the room that the other columns leave; a narrow table has less for them from the start."""
        if self.narrow or not self.query(DataTable):
            return
        table = self.table
        taken = sum(column.get_render_width(table) for key, column in table.columns.items() if key != "name")
        room = table.scrollable_content_region.width - taken - 2 * table.cell_padding
        room = min(max(room, SHORTEST_NAME), LONGEST_NAME)
        if room != self.room and any(len(name) > min(room, self.room) for name in self.shown):
            self.room = self._shown_room = room
            self._again()

    def _cells(self, run: Run) -> dict[str, Text]:
        """The cells of a run, made anew only where something in them changed."""
        curves = self._curves.get(run.name)
        stamp = (run.name in self.marked, self.narrow, self.room, duration(age(run)))
        before = self._made.get(run.name)
        if before is not None and before[0] is run and before[1] is curves and before[2] == stamp:
            return before[3]
        made = cells(run, stamp[0], self.narrow, self.room)
        made |= {column: Text(self._beside(curve)) for column, curve in (curves[1] if curves else {}).items()}
        self._made[run.name] = run, curves, stamp, made
        return made

    def _beside(self, curve: str) -> str:
        """A curve with the room that it needs beside a number, where columns have none."""
        return f" {curve}" if self.narrow else curve

    def _launch_cells(self, launch: Launch) -> dict[str, Text]:
        """A launch without a run: its state, and as much of its command as names have room for."""
        sign, style = STATE_SIGNS[launch.state]
        width = min(self.room, max([LAUNCH_NAME, *(len(run.name) for run in self.app.runs)]))
        words = launch.message or " ".join(launch.arguments)
        return {
            "state": Text(f"{sign} {launch.state}" + " " * self.narrow, STYLES[style]),
            "name": Text(shortened(words, width), STYLES["bad"] if launch.message else "dim"),
        }

    def _follow_curves(self) -> None:
        """Read the curves of the runs that can be seen, where the table has columns for them."""
        if not set(CURVES) & set(self._keys):
            return
        first = int(self.table.scroll_y)
        names = self._order[first : first + (self.table.size.height or self.app.size.height)]
        seen = [item for name in names if isinstance(item := self.shown.get(name), Run)]
        due = [run for run in seen if (known := self._curves.get(run.name)) is None or known[0] is not run]
        if due:
            self._read_curves(due)

    @work(thread=True, exclusive=True, group="curves")
    def _read_curves(self, runs: list[Run]) -> None:
        found = {}
        for run in runs:
            follower = MetricsFollower(run.path, most=CURVE_RECORDS)
            follower.poll()
            sparks = {name: spark(follower.records, key, log) for name, (key, log) in CURVES.items()}
            found[run.name] = run, sparks
        self.hand_over(self._take_curves, found)

    def _take_curves(self, found: dict[str, tuple[Run, dict[str, str]]]) -> None:
        self._curves |= found
        self.show(self.app.runs, self.app.launcher.launches)

    def _where(self, total: int, kept: int) -> None:
        running = sum(run.status.state == "running" for run in self.app.runs)
        words = f"{total} run{'' if total == 1 else 's'}, {running} running"
        if self.app.launcher.waiting:
            words += f", {self.app.launcher.waiting} waiting"
        if self.words:
            words += f"; {kept} match “{self.words}”"
        if self.marked:
            words += f"; {len(self.marked)} marked"
        arrow = "↓" if self.descending else "↑"
        words += f", sorted by {self.sorted_by} {arrow}, in {self.app.run_dir}"
        empty = (
            f"No run matches “{self.words}”; escape shows all."
            if self.words
            else f"No runs yet. Press n to start one, or in another terminal:\n\n  {FIRST_COMMAND}"
        )
        for name, said in (("where", words), ("empty", empty)):
            if self._said.get(name) != said:
                self._said[name] = said
                self.query_one(f"#{name}", Static).update(said, layout=False)

    def _update(self, rows: dict[str, dict[str, Text]]) -> None:
        table = self.table
        order = list(rows)
        columns = [key.value for key in table.columns]
        if order != self._order:
            chosen, scroll = self._chosen_key(), table.scroll_y
            table.clear()
            for column in table.columns.values():  # a column that grew for a row that is gone shrinks again
                column.content_width = column.label.cell_len
            for key, row in rows.items():
                table.add_row(*(row.get(column, Text()) for column in columns), key=key)
            self._order = order
            if chosen in rows:
                table.move_cursor(row=order.index(chosen), animate=False, scroll=False)
                table.scroll_to(y=scroll, animate=False)
        else:
            for key, row in rows.items():
                before = self._drawn.get(key, {})
                if row is before:
                    continue
                for column in columns:
                    if column in row and before.get(column) != row[column]:
                        table.update_cell(key, column, row[column], update_width=True)
        self._drawn = rows

    def _chosen_key(self) -> str | None:
        row = self.table.cursor_row
        return self._order[row] if 0 <= row < len(self._order) else None

    @property
    def chosen(self) -> Run | Launch | None:
        """The highlighted run or launch."""
        return self.shown.get(self._chosen_key() or "")

    def _targets(self) -> list[Run]:
        """The marked runs, or else the highlighted one."""
        if self.marked:
            return [run for run in self.app.runs if run.name in self.marked]
        return [self.chosen] if isinstance(self.chosen, Run) else []

    @on(DataTable.RowHighlighted)
    def _preview_chosen(self) -> None:
        chosen = self.chosen
        if not self.has_class("-wide") or not self.is_current or chosen is None:
            return
        panel = self.query_one("#preview", Panel)
        panel.set_class(isinstance(chosen, Launch), "-launch")
        if isinstance(chosen, Launch):
            self._feed = self._previewed = None
            panel.entitle("Launch")
            self.query_one(Facts).say(launch_facts(chosen.state, chosen.arguments, chosen.message))
            return
        if self._feed is None or self._feed.path != chosen.path:
            self._feed = RunFeed(chosen.path, PREVIEW_RECORDS)
        self._follow_preview(self._feed)

    @work(thread=True, exclusive=True, group="preview")
    def _follow_preview(self, feed: RunFeed) -> None:
        feed.poll()
        self.hand_over(self._draw_preview, feed)

    def _draw_preview(self, feed: RunFeed) -> None:
        stamp = (feed.path, *feed.stamp)
        if feed is not self._feed or stamp == self._previewed or not self.query("#preview"):
            return
        self._previewed = stamp
        run, records, record = feed.run, list(feed.records), feed.evaluated_at(None)
        panel = self.query_one("#preview", Panel)
        fitted = time_to_fit(run, records)
        spec = views.loss_chart(records, total=going_to(run))
        panel.show(spec, explain.run(record, run.status.state, run.status.message, fitted), run.name)
        self.query_one(Facts).say(facts(run, record, []))

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Open the highlighted run."""
        if isinstance(self.chosen, Run):
            self.app.open_run(self.chosen)
        elif isinstance(self.chosen, Launch) and self.chosen.message:
            self.app.notify(self.chosen.message, title="This run did not start", severity="error", markup=False)

    @on(DataTable.HeaderSelected)
    def _header(self, event: DataTable.HeaderSelected) -> None:
        if event.column_key.value in SORTABLE:
            self.descending = event.column_key.value == self.sorted_by and not self.descending
            self.sorted_by = event.column_key.value
            self._again()

    def _again(self) -> None:
        self.show(self.app.runs, self.app.launcher.launches)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.sorted_by = SORTABLE[(SORTABLE.index(self.sorted_by) + 1) % len(SORTABLE)]
        self._again()

    def action_reverse(self) -> None:
        """Turn the order around."""
        self.descending = not self.descending
        self._again()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one("#filter").add_class("-open")
        self.query_one("#filter").focus()

    def action_clear(self) -> None:
        """Close the filter and show all."""
        box = self.query_one("#filter", Input)
        box.value = ""
        box.remove_class("-open")
        self.table.focus()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.words = event.value.strip()
        self._again()

    @on(Input.Submitted, "#filter")
    def _submitted(self) -> None:
        self.table.focus()

    def action_mark(self) -> None:
        """Mark the highlighted run or take its mark away, and go to the next."""
        if isinstance(self.chosen, Run):
            self.marked ^= {self.chosen.name}
            self._again()
        self.table.action_cursor_down()

    def action_again(self) -> None:
        """Open the form of a new run with the options of the highlighted one."""
        if isinstance(self.chosen, Run):
            self.app.action_new_run(texts_of(experiment_of(self.chosen)))

    def action_compare(self) -> None:
        """Compare the marked runs, or all that are shown."""
        runs = self._targets() if self.marked else [item for item in self.shown.values() if isinstance(item, Run)]
        self.app.compare(runs)

    def action_duel(self) -> None:
        """Open the two marked runs side by side."""
        self.app.duel([run for run in self.app.runs if run.name in self.marked])

    def action_stop(self) -> None:
        """Stop the marked runs or the highlighted one; take a launch that waits off the list."""
        if isinstance(self.chosen, Launch) and not self.marked:
            self.app.forget(self.chosen)
        else:
            self.app.stop_runs(self._targets())

    def action_resume(self) -> None:
        """Go on with the marked runs or the highlighted one."""
        self.app.resume_runs(self._targets())

    def action_delete(self) -> None:
        """Delete the marked runs or the highlighted one, after a question."""
        if isinstance(self.chosen, Launch) and not self.marked:
            self.action_stop()
            return
        runs = self._targets()
        if not runs:
            return
        question = f"Delete {named(runs)} with everything recorded? This cannot be taken back."
        self.app.push_screen(Confirm(question, "Delete"), lambda yes: self._delete(runs) if yes else None)

    def _delete(self, runs: list[Run]) -> None:
        self.marked -= {run.name for run in self.app.delete_runs(runs)}

    def action_copy(self) -> None:
        """Copy the command that repeats the highlighted run."""
        if isinstance(self.chosen, Run):
            self.app.copy_text(repeat_command(self.chosen))
