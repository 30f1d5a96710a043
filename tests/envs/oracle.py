"""The rules of predator, prey, grass once more: slow and obvious, in plain Python, sharing no code with the kernel."""

import math

import numpy as np

MASK = 2**64 - 1


class SplitMix:
    def __init__(self, state):
        self.state = state

    def below(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        return ((z >> 32) * bound) >> 32


class Animal:
    def __init__(self, species, number, parent, place, energy, born):
        self.species, self.number, self.parent = species, number, parent
        self.place, self.energy, self.born = place, energy, born
        self.reward, self.cause, self.meal = 0.0, None, 0.0


class OracleWorld:
    """One world. `animals[species]` are the living, oldest first; `acted[species]` those that acted last."""

    def __init__(self, rules, seed, clock=0):
        self.rules = rules
        self.random = SplitMix(seed)
        self.clock = clock
        self.reset()

    def reset(self):
        rules = self.rules
        self.started = self.clock
        cells = [(x, y) for x in range(rules.width) for y in range(rules.height)]
        self.grass = {}
        for g in range(rules.grass.count):
            self.grass[self.swap_in(cells, g)] = rules.grass.initial_energy
        self.animals, self.next_number, taken = {}, {}, 0
        for each in rules.species:
            self.animals[each.name] = []
            for number in range(each.initial_count):
                place = self.swap_in(cells, taken)
                self.animals[each.name].append(Animal(each, number, -1, place, each.initial_energy, self.clock))
                taken += 1
            self.next_number[each.name] = each.initial_count
        tags = ("births", "births_blocked", "eaten", "starved", "meals", "ages")
        self.counts = {each.name: dict.fromkeys(tags, 0) for each in rules.species}

    def swap_in(self, cells, i):
        j = i + self.random.below(len(cells) - i)
        cells[i], cells[j] = cells[j], cells[i]
        return cells[i]

    def step(self, actions):
        """`actions[species]`: one for each of the living. Returns 0 (goes on), 1 (extinction) or 2 (time is up)."""
        rules = self.rules
        self.clock += 1
        self.acted = {name: list(animals) for name, animals in self.animals.items()}
        everyone = [animal for each in rules.species for animal in self.animals[each.name]]
        for place, energy in self.grass.items():
            if energy < rules.grass.max_energy:
                self.grass[place] = min(energy + rules.grass.growth, rules.grass.max_energy)
        wishes = {}
        for name, animals in self.animals.items():
            for animal, action in zip(animals, actions[name], strict=True):
                wishes[animal] = int(action)
                animal.energy -= animal.species.decay
                animal.reward, animal.cause, animal.meal = 0.0, None, 0.0
        for i in range(len(everyone) - 1, 0, -1):
            j = self.random.below(i + 1)
            everyone[i], everyone[j] = everyone[j], everyone[i]

        for animal in everyone:
            dx, dy = divmod(wishes[animal], 3)
            x = min(max(animal.place[0] + dx - 1, 0), rules.width - 1)
            y = min(max(animal.place[1] + dy - 1, 0), rules.height - 1)
            if self.at(animal.species.name, (x, y)) is None:
                animal.place = (x, y)
        for animal in everyone:
            if animal.energy <= 0:
                self.die(animal, "starved")
        for animal in everyone:
            if animal.cause is None and animal.species.role == "predator":
                self.hunt(animal)
        for animal in everyone:
            if animal.cause is None and animal.species.role == "prey" and self.grass.get(animal.place, 0) > 0:
                animal.energy += self.grass[animal.place]
                animal.meal = self.grass[animal.place]
                self.grass[animal.place] = 0.0
                self.counts[animal.species.name]["meals"] += 1
        verdict = 0
        if self.clock >= rules.max_steps:
            verdict = 2
        if any(not animals for animals in self.animals.values()):
            verdict = 1
        for animal in everyone:
            if animal.cause is None and animal.energy >= animal.species.birth_energy:
                self.give_birth(animal)
        return verdict

    def at(self, name, place):
        return next((animal for animal in self.animals[name] if animal.place == place), None)

    def die(self, animal, cause):
        animal.cause = cause
        name = animal.species.name
        self.animals[name].remove(animal)
        self.counts[name][cause] += 1
        self.counts[name]["ages"] += self.clock - animal.born

    def hunt(self, hunter):
        for each in self.rules.species:
            victim = self.at(each.name, hunter.place) if each.role == "prey" else None
            if victim is not None:
                hunter.energy += victim.energy
                hunter.meal = victim.energy
                self.die(victim, "eaten")
                self.counts[hunter.species.name]["meals"] += 1
                return

    def give_birth(self, parent):
        species = parent.species
        x, y = parent.place
        around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        free = [
            (x, y)
            for x, y in around
            if 0 <= x < self.rules.width and 0 <= y < self.rules.height and self.at(species.name, (x, y)) is None
        ]
        number = self.next_number[species.name]
        if len(self.animals[species.name]) >= species.slots or number >= species.ids or not free:
            self.counts[species.name]["births_blocked"] += 1
            return
        place = free[self.random.below(len(free))]
        parent.energy -= species.initial_energy
        parent.reward += 10.0
        child = Animal(species, number, parent.number, place, species.initial_energy, self.clock)
        self.animals[species.name].append(child)
        self.next_number[species.name] += 1
        self.counts[species.name]["births"] += 1

    def observe(self, species, place):
        side, fixed = species.window, self.rules.observation_dtype == "uint8"
        seen = np.zeros((side, side, 4), self.rules.observation_dtype)
        for i in range(side):
            for j in range(side):
                x, y = place[0] + i - side // 2, place[1] + j - side // 2
                if not (0 <= x < self.rules.width and 0 <= y < self.rules.height):
                    seen[i, j, 0] = 255 if fixed else 1.0
                    continue
                for animal in (a for animals in self.animals.values() for a in animals if a.place == (x, y)):
                    channel = 1 if animal.species.role == "predator" else 2
                    seen[i, j, channel] = min(math.floor(animal.energy * 10 + 0.5), 255) if fixed else animal.energy
                energy = self.grass.get((x, y), 0.0)
                seen[i, j, 3] = min(math.floor(energy * 100 + 0.5), 255) if fixed else energy
        return seen
