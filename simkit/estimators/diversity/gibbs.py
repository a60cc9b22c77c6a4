"""Collapsed Gibbs sampling of a Chinese-restaurant-process mixture, many restaurants at once.

A restaurant is one chain over one population: its people sit at tables (clusters). A table's score
for a person, given the answers x_q and the table's (ones, zeros) without that person, is

    sum over the answers q of x_q log(ones_q + a) + (1 - x_q) log(zeros_q + a)
                              - log(ones_q + zeros_q + 2 a).

Gibbs goes through the people one after another, and mostly nobody moves. So a sweep leaps: with
the tables as they stand, everybody's next seat is drawn at once; those before the first who moves
are done, since nothing changed for them; that person is moved, the two tables are scored anew, and
the rest is drawn again with the same uniforms. The result is that of going person by person, in as
many steps as people moved.

`score` (R, P, K) holds every table's score for every person, `without` the same with one answer
less in each count: for the people at that table, without their own answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from simkit.types import FloatArray, IntArray

__all__ = ["START", "sweeps_of"]

START = ("in turn", "alone", "together")
SPARE = 4  # empty tables that a restaurant has when it is laid out


class _Room:
    """R restaurants of K tables: seat (R, P), -1 for nobody; people (R, K); count (R, K, 3 Q)."""

    def __init__(
        self, seat: IntArray, answers: FloatArray, alpha: FloatArray, concentration: float
    ) -> None:
        answered = (~np.isnan(answers)).astype(float)
        x = np.nan_to_num(answers)
        self.seat, self.new = seat, np.log(concentration)
        self.count_of = np.concatenate([x, answered - x, answered], axis=2)
        self.signs = np.concatenate([x, answered - x, -answered], axis=2)
        each = np.stack([alpha, alpha, 2 * alpha], axis=-1)
        self.prior = np.repeat(each, answers.shape[2], axis=-1)[:, None]  # (R, 1, 3 Q)
        self.all = np.arange(len(seat))
        with np.errstate(divide="ignore"):
            self.log_n = np.log(np.arange(seat.shape[1] + 1))
        self.lay_out()

    def lay_out(self) -> None:
        """Number the occupied tables 0, 1, ... in each restaurant and score them all."""
        room, who = np.nonzero(self.seat >= 0)
        used = np.zeros((len(self.seat), max(int(self.seat.max()), 0) + 1), dtype=bool)
        used[room, self.seat[room, who]] = True
        self.seat[room, who] = (used.cumsum(1) - 1)[room, self.seat[room, who]]
        k = int(used.sum(1).max()) + SPARE
        self.people = np.zeros((len(self.seat), k), dtype=np.int64)
        self.count = np.zeros((len(self.seat), k, self.prior.shape[-1]))
        np.add.at(self.people, (room, self.seat[room, who]), 1)
        np.add.at(self.count, (room, self.seat[room, who]), self.count_of[room, who])
        self.score, self.without = (
            self.signs @ logs.transpose(0, 2, 1) for logs in self._logs(self.count, self.all)
        )

    def _logs(self, count: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        prior = self.prior[rows]
        return np.log(count + prior), np.log(np.maximum(count - 1, 0) + prior)

    def draw(self, rows: IntArray, uniform: FloatArray) -> IntArray:
        """Everybody's next table (A, P), given where all the others sit now."""
        seat, people = self.seat[rows], self.people[rows]
        one, who = np.arange(len(rows))[:, None], np.arange(seat.shape[1])[None, :]
        weight = self.score[rows] + self.log_n[people][:, None, :]
        empty = (people == 0).argmax(1)[:, None]
        weight[one, who, empty] = self.score[rows[:, None], who, empty] + self.new
        room, sits = np.nonzero(seat >= 0)
        table = seat[room, sits]
        left = people[room, table] - 1
        lone = left == 0  # the own table is the new one, so the spare is not offered as well
        weight[room[lone], sits[lone], empty[room[lone], 0]] = -np.inf
        weight[room, sits, table] = self.without[rows[room], sits, table] + np.where(
            lone, self.new, self.log_n[left]
        )
        below = np.exp(weight - weight.max(2, keepdims=True)).cumsum(2)
        drawn: IntArray = (below <= (uniform * below[..., -1])[..., None]).sum(2)
        return drawn

    def move(self, rows: IntArray, person: IntArray, table: IntArray) -> None:
        """Seat one person in each of the restaurants at another table, and score both anew."""
        old = self.seat[rows, person]
        self.seat[rows, person] = table
        tables = np.stack([np.where(old < 0, table, old), table], axis=1)
        self.people[rows, table] += 1
        self.count[rows, table] += self.count_of[rows, person]
        had = old >= 0
        self.people[rows[had], old[had]] -= 1
        self.count[rows[had], old[had]] -= self.count_of[rows[had], person[had]]
        logs = np.concatenate(self._logs(self.count[rows[:, None], tables], rows), axis=1)
        new = self.signs[rows] @ logs.transpose(0, 2, 1)  # (A, P, 4): two tables, with and without
        who = np.arange(self.seat.shape[1])[None, :, None]
        place = rows[:, None, None], who, tables[:, None, :]
        self.score[place], self.without[place] = new[..., :2], new[..., 2:]
        if not (self.people == 0).any(1).all():
            self.lay_out()

    def sweep(self, uniform: FloatArray, real: npt.NDArray[np.bool_]) -> None:
        """Once through the people of all restaurants; uniform and real are (R, P)."""
        waiting, rows = real.copy(), self.all
        while len(rows):
            table = self.draw(rows, uniform[rows])
            moves = waiting[rows] & (table != self.seat[rows])
            moving = moves.any(1)
            rows, first = rows[moving], moves[moving].argmax(1)
            waiting[rows] &= np.arange(waiting.shape[1]) > first[:, None]
            if len(rows):
                self.move(rows, first, table[moving, first])
        if self.people.shape[1] > (self.people > 0).sum(1).max() + 4 * SPARE:
            self.lay_out()


def sweeps_of(
    answers: FloatArray,
    real: npt.NDArray[np.bool_],
    *,
    chains: int,
    sweeps: int,
    alpha: FloatArray,
    concentration: float,
    start: str,
    stream: np.random.Generator,
) -> Iterator[IntArray]:
    """After each sweep the tables' sizes (G, C, K) of G populations in C chains.

    answers : (G, P, Q) of 0, 1 and NaN; real : (G, P), False where a population has fewer people;
        alpha : (G,).
    start : the people come "in turn", each seated given those before, in random order; or everybody
        is "alone" at first, or all are "together".
    """
    g, p = real.shape
    which = np.repeat(np.arange(g), chains)
    first = {"in turn": np.full(p, -1), "alone": np.arange(p), "together": np.zeros(p, dtype=int)}
    seat = np.where(real[which], first[start], -1).astype(np.int64)
    room = _Room(seat, answers[which], alpha[which], concentration)
    if start == "in turn":
        for person in stream.permutation(p):
            rows = np.flatnonzero(real[which, person])
            table = room.draw(rows, stream.random((g * chains, p))[rows])[:, person]
            room.move(rows, np.full(len(rows), person), table)
    for _ in range(sweeps):
        room.sweep(stream.random((g * chains, p)), real[which])
        yield room.people.reshape(g, chains, -1)
