// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Arrange: the values of a sample go to other pixels and channels. Gradients go back; of a value
// that was taken several times they add up, of one that nobody took they are 0.
//
// A unit is what a pixel has in a part of its channels, of all samples of a turn: whole accesses.
// A tile makes some units of the result. It loads the units that these take, and jobs of the lanes
// make one slot of the result each, of runs of lanes of slots that were loaded. Slots that are made
// in the same way at equal distances share a job.

#include <fmt/format.h>

#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Descriptor;
using isa::FieldId;

namespace {

// Channels of a unit, at most.
constexpr int64_t kMostUnit = 512;
// Slots that a tile's buffer has, at most: loops of jobs step by 16 bits, wide ones twice as far.
constexpr int64_t kMostSlots = 12000;
// Jobs for a group of samples. Arrangements without order take one for each slot.
constexpr int64_t kMostJobs = 4096;
// Cycles about that a tile takes beside what it moves.
constexpr int64_t kTileCycles = 500;

// Lanes of a slot from `lane` to those of the next run: of the source's slot the lanes that are
// `rotation` further, or zeros.
struct LaneRun {
  int lane = 0;
  int rotation = 0;
  int64_t slot = -1;  // counted from the first that the program takes; -1: zeros

  auto operator<=>(const LaneRun&) const = default;
};

// What makes a slot: sums of rows of lanes.
struct SlotProgram {
  std::vector<std::vector<LaneRun>> terms;
  bool adds = false;  // to what is there
  int loops = 0;      // over which the only term is summed up

  auto operator<=>(const SlotProgram&) const = default;
};

struct NestLoop {
  int64_t count = 1, from = 0, to = 0;  // slots

  auto operator<=>(const NestLoop&) const = default;
};

struct SlotNest {
  int64_t from = 0, to = 0;
  std::vector<NestLoop> loops;  // innermost first
};

// Neighbours at equal distances become one, so many times.
std::vector<SlotNest> Merged(std::vector<SlotNest> nests, int times) {
  for (int time = 0; time < times; ++time) {
    std::vector<SlotNest> merged;
    for (size_t i = 0; i < nests.size();) {
      size_t end = i + 1;
      NestLoop loop;
      while (end < nests.size() && nests[end].loops == nests[i].loops) {
        const int64_t from = nests[end].from - nests[end - 1].from;
        const int64_t to = nests[end].to - nests[end - 1].to;
        if (end > i + 1 && (from != loop.from || to != loop.to)) break;
        loop = {loop.count + 1, from, to};
        ++end;
      }
      merged.push_back(nests[i]);
      if (loop.count > 1) merged.back().loops.push_back(loop);
      i = end;
    }
    nests = std::move(merged);
  }
  return nests;
}

// Registers of the programs.
enum : int { kSum = 0, kNext = 1, kLane = 2, kEdge = 3, kFrom = 4, kFirstMask = 5, kRun = 14 };
constexpr int kZero = 15;
constexpr int kMasks = kRun - kFirstMask;

lanes::Program Written(const SlotProgram& slot) {
  lanes::Program program;
  std::map<int, int> masks;  // by the lane from which on they are 1
  program.init.Iota(kLane).Move(kLane, kLane, lanes::LaneMode::kRotate, 0, lanes::GroupMode::kFixed,
                                0);
  auto make_mask = [](lanes::Section& section, int lane, int reg) {
    section.Constant(kEdge, static_cast<float>(lane) - 0.5F).Gt(reg, kLane, kEdge);
  };
  for (const auto& term : slot.terms) {
    for (const LaneRun& run : term) {
      if (run.lane == 0 || static_cast<int>(masks.size()) == kMasks) continue;
      const int reg = kFirstMask + static_cast<int>(masks.size());
      if (masks.try_emplace(run.lane, reg).second) make_mask(program.init, run.lane, reg);
    }
  }
  lanes::Section& body = program.body;
  // The register that holds a term: this one, or that of zero.
  auto add_term = [&](const std::vector<LaneRun>& term, int reg) {
    int made = kZero;
    for (const LaneRun& run : term) {
      const int value = run.slot < 0 ? kZero : run.lane == 0 ? reg : kRun;
      if (run.slot >= 0) body.LoadOperand(value, 0, static_cast<int>(run.slot));
      if (run.rotation > 0) {
        body.Move(value, value, lanes::LaneMode::kRotate, run.rotation,
                  lanes::GroupMode::kShiftZero, 0);
      }
      if (run.lane == 0) {
        made = value;
        continue;
      }
      const auto mask = masks.find(run.lane);
      if (mask == masks.end()) make_mask(body, run.lane, kFrom);
      body.Sel(reg, mask == masks.end() ? kFrom : mask->second, value, made);
      made = reg;
    }
    return made;
  };
  if (slot.loops > 0) {
    program.init.Copy(kSum, kZero);
    body.Add(kSum, kSum, add_term(slot.terms.front(), kNext));
    program.final.StoreOperand(kSum, 1);
    return program;
  }
  int sum = kZero;
  if (slot.adds) body.LoadOperand(sum = kSum, 1);
  for (const auto& term : slot.terms) {
    if (sum == kZero) {
      sum = add_term(term, kSum);
    } else {
      body.Add(kSum, kSum, add_term(term, kNext));
    }
  }
  body.StoreOperand(sum, 1);
  return program;
}

// Words of a term's instructions, at most.
size_t WordsOf(const std::vector<LaneRun>& term) { return 1 + 5 * term.size(); }

// A value of an image: the image's pixel, counted over all images, and its channel.
struct PlacedValue {
  int64_t pixel = 0, channel = 0;
};

// Images that lie one behind the other, in units.
struct UnitsOfImages {
  struct Unit {
    int image = 0;
    int64_t pixel = 0;    // of the image
    int64_t channel = 0;  // the first
  };
  int64_t channels = 0;  // of a unit, at most
  std::vector<Unit> units;
  std::vector<int64_t> first;  // of each pixel

  // `of_unit` channels are whole accesses.
  UnitsOfImages(const std::vector<Image>& images, int64_t of_unit) : channels(of_unit) {
    for (size_t i = 0; i < images.size(); ++i) {
      for (int64_t pixel = 0; pixel < images[i].pixels(); ++pixel) {
        first.push_back(static_cast<int64_t>(units.size()));
        for (int64_t c = 0; c < images[i].channels; c += of_unit) {
          units.push_back({static_cast<int>(i), pixel, c});
        }
      }
    }
  }
  int64_t UnitOf(const PlacedValue& value) const {
    return first[value.pixel] + value.channel / channels;
  }
};

// Of each value [pixel][channel] of the result what is summed up for it.
struct Origins {
  std::vector<int64_t> begin = {0};
  std::vector<PlacedValue> values;
};

struct Job {
  SlotProgram program;
  SlotNest nest;  // the loops of a sum before those of slots
};

struct ArrangedTile {
  int64_t first = 0, count = 0;  // units of the result
  std::vector<int64_t> units;    // that it takes, in order
};

// Units of the result that follow each other, as many as have room with those that they take; none
// if one is too large. Units take `from_bytes` and `to_bytes`.
std::vector<ArrangedTile> CutTiles(const std::vector<std::vector<int64_t>>& needs,
                                   int64_t from_bytes, int64_t to_bytes, int64_t room) {
  std::vector<ArrangedTile> tiles;
  std::vector<int64_t> taken_by(1, -1);
  for (int64_t unit = 0; unit < static_cast<int64_t>(needs.size()); ++unit) {
    for (const bool alone : {false, true}) {
      if (tiles.empty() || alone) {
        tiles.emplace_back();
        tiles.back().first = unit;
      }
      ArrangedTile& tile = tiles.back();
      const auto id = static_cast<int64_t>(tiles.size());
      std::vector<int64_t> more;
      for (const int64_t need : needs[unit]) {
        if (need >= static_cast<int64_t>(taken_by.size())) taken_by.resize(2 * need + 1, -1);
        if (taken_by[need] != id) more.push_back(need);
      }
      const auto units = static_cast<int64_t>(tile.units.size() + more.size());
      if (units * from_bytes + (tile.count + 1) * to_bytes <= room) {
        for (const int64_t need : more) taken_by[need] = id;
        tile.units.insert(tile.units.end(), more.begin(), more.end());
        ++tile.count;
        break;
      }
      if (tile.count == 0) return {};
    }
  }
  for (ArrangedTile& tile : tiles) std::sort(tile.units.begin(), tile.units.end());
  return tiles;
}

// How an arrangement is made: units, samples of a turn and tiles.
struct Cut {
  Cut(UnitsOfImages from_units, UnitsOfImages to_units)
      : from(std::move(from_units)), to(std::move(to_units)) {}

  // Of each unit of the result those that it takes, in order.
  std::vector<std::vector<int64_t>> Needs(const Origins& origins, int64_t channels) const {
    std::vector<std::vector<int64_t>> needs;
    for (const UnitsOfImages::Unit& unit : to.units) {
      std::vector<int64_t>& of_unit = needs.emplace_back();
      const int64_t end = std::min(unit.channel + to.channels, channels);
      for (int64_t c = unit.channel; c < end; ++c) {
        const int64_t at = unit.pixel * channels + c;
        for (int64_t v = origins.begin[at]; v < origins.begin[at + 1]; ++v) {
          of_unit.push_back(from.UnitOf(origins.values[v]));
        }
      }
      std::sort(of_unit.begin(), of_unit.end());
      of_unit.erase(std::unique(of_unit.begin(), of_unit.end()), of_unit.end());
    }
    return needs;
  }

  UnitsOfImages from, to;
  int64_t samples = 0;
  std::vector<ArrangedTile> tiles;
};

// What jobs are made of: slots of a tile's two buffers.
class JobFinder {
 public:
  JobFinder(const UnitsOfImages& from, const UnitsOfImages& to, const Origins& origins,
            int64_t channels, int64_t cols, int64_t access)
      : from_(from),
        to_(to),
        origins_(origins),
        channels_(channels),
        cols_(cols),
        access_(access) {}

  // Units lie so many slots apart.
  std::vector<Job> Run(const ArrangedTile& tile, int64_t from_unit, int64_t to_unit) {
    slots_.clear();
    for (int64_t i = 0; i < tile.count; ++i) {
      const UnitsOfImages::Unit& unit = to_.units[tile.first + i];
      const int64_t count = std::min(to_.channels, channels_ - unit.channel);
      for (int64_t c = 0; c < RoundUp(count, access_); c += cols_) {
        AddSlot(TermsOf(tile, from_unit, unit.pixel, unit.channel + c), i * to_unit + c / cols_);
      }
    }
    std::vector<Job> jobs;
    for (const auto& [made, places] : slots_) {
      const auto& [pass, program, sum] = made;
      for (SlotNest& nest : Merged(places, 3 - static_cast<int>(sum.size()))) {
        nest.loops.insert(nest.loops.begin(), sum.begin(), sum.end());
        jobs.push_back({program, std::move(nest)});
      }
    }
    return jobs;
  }

 private:
  using Terms = std::vector<std::vector<LaneRun>>;
  // The pass over the result, the program, and the loops of a sum.
  using SlotKey = std::tuple<int, SlotProgram, std::vector<NestLoop>>;

  // Of the slot that begins at a channel.
  Terms TermsOf(const ArrangedTile& tile, int64_t from_unit, int64_t pixel, int64_t channel) const {
    Terms terms;
    for (size_t t = 0;; ++t) {
      std::vector<LaneRun> runs;
      bool any = false;
      for (int lane = 0; lane < static_cast<int>(cols_); ++lane) {
        LaneRun run{lane, 0, -1};
        const int64_t at = pixel * channels_ + channel + lane;
        if (channel + lane < channels_ &&
            origins_.begin[at] + static_cast<int64_t>(t) < origins_.begin[at + 1]) {
          const PlacedValue& value = origins_.values[origins_.begin[at] + static_cast<int64_t>(t)];
          const int64_t unit =
              std::lower_bound(tile.units.begin(), tile.units.end(), from_.UnitOf(value)) -
              tile.units.begin();
          run.slot = unit * from_unit + value.channel % from_.channels / cols_;
          run.rotation = static_cast<int>((value.channel % cols_ + cols_ - lane) % cols_);
          any = true;
        }
        if (runs.empty() || runs.back().slot != run.slot || runs.back().rotation != run.rotation) {
          runs.push_back(run);
        }
      }
      if (!any && t > 0) return terms;
      terms.push_back(std::move(runs));
      if (!any) return terms;
    }
  }

  // The first slot of a term, which becomes 0.
  static int64_t Rebase(Terms& terms) {
    int64_t first = -1;
    for (const auto& term : terms) {
      for (const LaneRun& run : term) {
        if (run.slot >= 0 && (first < 0 || run.slot < first)) first = run.slot;
      }
    }
    first = std::max<int64_t>(first, 0);
    for (auto& term : terms) {
      for (LaneRun& run : term) run.slot -= run.slot < 0 ? 0 : first;
    }
    return first;
  }

  void AddSlot(Terms terms, int64_t to) {
    constexpr size_t kWords = 110;  // of a program's body
    if (terms.size() > 2 && AddSum(terms, to)) return;
    int pass = 0;
    for (size_t i = 0; i < terms.size(); ++pass) {
      SlotProgram program;
      program.adds = pass > 0;
      size_t words = 0;
      while (i < terms.size() && (words == 0 || words + WordsOf(terms[i]) <= kWords)) {
        words += WordsOf(terms[i]);
        program.terms.push_back(std::move(terms[i++]));
      }
      const int64_t from = Rebase(program.terms);
      SlotKey key(pass, std::move(program), std::vector<NestLoop>());
      slots_[std::move(key)].push_back({from, to, {}});
    }
  }

  // Terms that are alike and lie at equal distances are summed up by loops.
  bool AddSum(const Terms& terms, int64_t to) {
    constexpr int kLoops = 2;
    std::vector<SlotNest> places;
    Terms first;
    for (const auto& term : terms) {
      Terms alone = {term};
      places.push_back({Rebase(alone), 0, {}});
      if (first.empty()) first = alone;
      if (alone != first) return false;
    }
    const std::vector<SlotNest> nests = Merged(std::move(places), kLoops);
    if (nests.size() > 1) return false;
    SlotProgram program;
    program.terms = std::move(first);
    program.loops = static_cast<int>(nests.front().loops.size());
    SlotKey key(0, std::move(program), nests.front().loops);
    slots_[std::move(key)].push_back({nests.front().from, to, {}});
    return true;
  }

  const UnitsOfImages& from_;
  const UnitsOfImages& to_;
  const Origins& origins_;
  const int64_t channels_;
  const int64_t cols_;
  const int64_t access_;
  // Where slots are made in one way.
  std::map<SlotKey, std::vector<SlotNest>> slots_;
};

// What is moved at once: pixels that follow each other, if it is of `all_samples`; others where
// rows of memory `are_units` of an image.
template <typename AreUnits>
std::vector<UnitRun> RunsOf(const UnitsOfImages& all, const std::vector<int64_t>& units,
                            bool all_samples, AreUnits are_units) {
  std::vector<UnitRun> runs;
  for (size_t i = 0; i < units.size(); ++i) {
    const UnitsOfImages::Unit& unit = all.units[units[i]];
    if (!runs.empty()) {
      UnitRun& run = runs.back();
      const int64_t step = unit.pixel - run.pixel - (run.pixels - 1) * run.step;
      const bool fits = run.image == unit.image && run.channel == unit.channel && step > 0 &&
                        (run.pixels == 1 || step == run.step) &&
                        ((all_samples && step == 1) || are_units(unit.image));
      if (fits) {
        run.step = step;
        ++run.pixels;
        continue;
      }
    }
    runs.push_back({unit.image, unit.pixel, unit.channel, 1, 1, static_cast<int64_t>(i)});
  }
  return runs;
}

// Of each value of the result, [pixel][channel], where it is taken from; places are those of
// [channel][pixel] in images one behind the other.
Origins Taken(const std::vector<int32_t>& places, const Image& to, const std::vector<Image>& from) {
  Origins origins;
  for (int64_t pixel = 0; pixel < to.pixels(); ++pixel) {
    for (int64_t c = 0; c < to.channels; ++c) {
      int64_t place = places[c * to.pixels() + pixel], before = 0;
      size_t i = 0;
      for (; place >= from[i].features(); ++i) {
        place -= from[i].features();
        before += from[i].pixels();
      }
      origins.values.push_back({before + place % from[i].pixels(), place / from[i].pixels()});
      origins.begin.push_back(static_cast<int64_t>(origins.values.size()));
    }
  }
  return origins;
}

// Of each value of an image that lies behind `first` others where it was taken to.
Origins GivenBack(const std::vector<int32_t>& places, const Image& of, int64_t first,
                  const Image& taken) {
  std::vector<std::vector<PlacedValue>> uses(of.features());
  for (int64_t pixel = 0; pixel < taken.pixels(); ++pixel) {
    for (int64_t c = 0; c < taken.channels; ++c) {
      const int64_t place = places[c * taken.pixels() + pixel] - first;
      if (place < 0 || place >= of.features()) continue;
      uses[place % of.pixels() * of.channels + place / of.pixels()].push_back({pixel, c});
    }
  }
  Origins origins;
  for (const auto& use : uses) {
    origins.values.insert(origins.values.end(), use.begin(), use.end());
    origins.begin.push_back(static_cast<int64_t>(origins.values.size()));
  }
  return origins;
}

}  // namespace

// Units lie in the buffer one behind the other, each with its samples.
Step Mapper::MoveUnits(Engine engine, int tensor, const UnitRun& run, const Samples& of,
                       int64_t channels, int buffer, int tag) const {
  const Raster& r = raster_.at(tensor);
  const int64_t pitch = channels * BytesOf(local_[tensor]);
  const int64_t row = r.Row(of.group, 0, 0) + run.pixel * r.samples;
  const int64_t offset = run.at * of.count * pitch;
  const bool loads = engine == Engine::kLoad;
  const int64_t cols = std::min(channels, local_[tensor].cols - run.channel);
  if (run.step == 1 && (of.count == r.samples || run.pixels == 1)) {
    return loads ? LoadPlain(tensor, row + of.begin, run.pixels * of.count, run.channel, cols, 0,
                             pitch, false, buffer, tag, offset)
                 : StorePlain(tensor, row + of.begin, run.pixels * of.count, run.channel, cols,
                              pitch, buffer, tag, offset);
  }
  Step step = MoveTurn(engine, tensor, row, run.pixels, of, buffer, offset, tag);
  if (run.step == 1) return step;
  step.copy.reset();
  step.dram.front().rect.row_end = row + ((run.pixels - 1) * run.step + 1) * r.samples;
  step.make = [make = step.make, bytes = run.step * r.samples * pitch](const Place& place) {
    Descriptor d = make(place);
    d.Set(FieldId::kDramPitch, bytes);
    return d;
  };
  return step;
}

void Mapper::AddArrange(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& l = graph_.layers[op.layer];
  const bool forward = op.phase == Phase::kFeedForward;
  std::vector<int> sources;
  std::vector<Image> images;
  for (const int tensor : op.Tensors(forward ? Role::kX : Role::kDz)) {
    sources.push_back(tensor_of_[tensor]);
    images.push_back(graph_.tensors[tensor].image);
  }
  const int result = op.Tensor(forward ? Role::kY : Role::kDx);
  const int to = tensor_of_[result];
  const Image made = graph_.tensors[result].image;
  const Origins origins = forward ? Taken(l.places, made, images)
                                  : GivenBack(l.places, made, op.first_place, images.front());
  const int64_t slot = v_.array.cols * operand_;
  const int64_t width = WidthOf(to);  // of all, in operands
  // Rows that are one unit lie as in memory, so that a LOAD can take several of them for one.
  const int64_t whole = std::max(kAccess / 2, word_elements_);
  int64_t widest = 0;
  for (const Image& image : images) widest = std::max(widest, image.channels);
  const Raster& r = raster_.at(to);
  const int64_t room = std::min(Scratchpad(budget) / 4 / width, kMostSlots * slot);
  // Units as large, and so many samples in a turn, that as little as possible is loaded again.
  std::optional<Cut> best;
  double least = 0;
  for (int64_t most = std::max(kMostUnit, whole); most >= whole; most /= 2) {
    auto channels_of = [&](int64_t channels) {
      return std::min(RoundUp(channels, whole), most / whole * whole);
    };
    Cut cut(UnitsOfImages(images, channels_of(widest)),
            UnitsOfImages({made}, channels_of(made.channels)));
    const std::vector<std::vector<int64_t>> needs = cut.Needs(origins, made.channels);
    for (cut.samples = r.samples; cut.samples > 0;
         cut.samples = cut.samples % 2 == 0 ? cut.samples / 2 : 0) {
      const int64_t from_bytes = cut.samples * cut.from.channels * operand_;
      cut.tiles = CutTiles(needs, from_bytes, cut.samples * cut.to.channels * operand_, room);
      if (cut.tiles.empty()) continue;
      int64_t cycles = 0;
      for (const ArrangedTile& tile : cut.tiles) {
        const auto units = static_cast<int64_t>(tile.units.size());
        cycles += kTileCycles + units * (from_bytes * width + kAccess) / beat_;
      }
      const double all = static_cast<double>(cycles) / static_cast<double>(cut.samples);
      if (best && all >= least) continue;
      least = all;
      best = cut;
    }
  }
  if (!best) {
    RefuseInput(
        "{}: layer {}: values of one pixel come from more of {} than a quarter of the "
        "scratchpad of {} KiB takes at once",
        graph_.file, l.name, local_[sources.front()].name, v_.scratchpad.kib);
  }
  const UnitsOfImages& from_units = best->from;
  const UnitsOfImages& to_units = best->to;
  const std::vector<ArrangedTile>& tiles = best->tiles;
  const int64_t samples = best->samples;
  const int64_t from_bytes = from_units.channels * operand_;
  const int64_t to_bytes = to_units.channels * operand_;
  JobFinder finder(from_units, to_units, origins, made.channels, v_.array.cols, whole);
  std::vector<std::vector<Job>> jobs;
  int64_t count = 0;
  for (const ArrangedTile& tile : tiles) {
    jobs.push_back(finder.Run(tile, samples * from_bytes / slot, samples * to_bytes / slot));
    count += static_cast<int64_t>(jobs.back().size()) * (r.samples / samples);
  }
  if (count > kMostJobs) {
    RefuseInput(
        "{}: layer {}: {} jobs of the lanes bring the values of {} samples to their "
        "places; accepted: up to {}",
        graph_.file, l.name, count, r.samples, kMostJobs);
  }
  data_flow_[tag] = fmt::format("{} of {} samples' values at a time through the lanes, {} jobs",
                                samples, r.samples, count);
  auto are_units = [&](const std::vector<int>& tensors, const UnitsOfImages& units) {
    return [&, tensors](int image) {
      const ProgramTensor& t = local_[tensors[image]];
      return t.pitch_bytes == units.channels * BytesOf(t);
    };
  };
  for (int64_t g = 0; g < r.groups; ++g) {
    for (int64_t s = 0; s < r.samples; s += samples) {
      for (size_t t = 0; t < tiles.size(); ++t) {
        Task task;
        const ArrangedTile& tile = tiles[t];
        const auto taken = static_cast<int64_t>(tile.units.size());
        auto buffer = [&](int64_t units, int64_t bytes) {
          return s_->AddBuffer(
              static_cast<uint32_t>(std::max<int64_t>(units, 1) * samples * bytes * width), false);
        };
        const int in = buffer(taken, from_bytes), out = buffer(tile.count, to_bytes);
        for (const UnitRun& run :
             RunsOf(from_units, tile.units, samples == r.samples, are_units(sources, from_units))) {
          task.loads.emplace_back(MoveUnits(Engine::kLoad, sources[run.image], run, {g, s, samples},
                                            from_units.channels, in, tag));
        }
        std::map<SlotProgram, LoadedProgram> loaded;
        for (const Job& job : jobs[t]) {
          auto found = loaded.find(job.program);
          if (found == loaded.end()) {
            found = loaded
                        .emplace(job.program, LoadLanes(Written(job.program), task.loads, tag,
                                                        WideStreams({sources.front(), to})))
                        .first;
          }
          lanes::Job lane_job;
          lane_job.level = job.program.loops > 0 ? job.program.loops : 3;
          lane_job.streams[0].base = static_cast<uint32_t>(job.nest.from * slot);
          lane_job.streams[1].base = static_cast<uint32_t>(job.nest.to * slot);
          lane_job.streams[0].strides[0] = from_bytes / slot;
          lane_job.streams[1].strides[0] = to_bytes / slot;
          for (size_t i = 0; i < job.nest.loops.size(); ++i) {
            const NestLoop& loop = job.nest.loops[i];
            lane_job.bounds[i] = loop.count;
            lane_job.streams[0].strides[i + 1] = loop.from;
            lane_job.streams[1].strides[i + 1] = loop.to;
          }
          AddSampleJobs(task, found->second, lane_job, samples, {in, out, -1, -1},
                        {from_bytes, to_bytes, 0, 0}, 0b10, tag);
        }
        std::vector<int64_t> units(tile.count);
        std::iota(units.begin(), units.end(), tile.first);
        for (const UnitRun& run :
             RunsOf(to_units, units, samples == r.samples, are_units({to}, to_units))) {
          task.stores.push_back(
              MoveUnits(Engine::kStore, to, run, {g, s, samples}, to_units.channels, out, tag));
        }
        AddTask(std::move(task));
      }
    }
  }
}

}  // namespace vaultrain
