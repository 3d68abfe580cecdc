// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Recurrent layers: the samples of a raster's group go through all steps of their sequence in the
// scratchpad, where all weights of the layer lie.
//
//   FF  sums = X[t] W^T + b, then sums += h U^T, both by the array; the cell by the lanes
//   BP  the rest of dh = dsums[t + 1] U, by the array; the cell by the lanes
//
// The part of a GRU's n that comes from h is a sum of its own, behind the others, with a gradient
// of its own; the bias of U is added by the lanes. One that resets the state before the product
// takes a step in two parts, as r h' V^T, and dn V in BP, need what the lanes make of the first.
//
// Sums and states are fp32 and never leave the scratchpad; what BP needs of a cell lies in memory
// as "NAME.K". While the lanes work on a step, the array makes W's part of the next one; several
// groups, as many as there is room for, take turns, and the two halves of each: the array has no
// use for more rows than columns, and while it works on one half the lanes work on the other. UP
// and dX are those of linear layers (training_graph.h).

#include <fmt/format.h>

#include "mapper/mapping.h"
#include "vaultrain/error.h"
#include "vaultrain/lane_library.h"

namespace vaultrain {

namespace {

// Sums of a step, for each value of h.
int64_t SumsOf(Cell cell) { return cell == Cell::kGru ? 4 : GatesOf(cell); }

// Parts of NAME.K. LSTM: gates, tanh c and the state before; GRU: z, r, n, the part of n that
// comes from h, and the state before; of reset GRU: z, r, n and the state before.
int64_t KeptOf(Cell cell) {
  switch (cell) {
    case Cell::kLstm:
      return 6;
    case Cell::kGru:
      return 5;
    case Cell::kResetGru:
      return 4;
    case Cell::kRnn:
      return 0;
  }
  return 0;
}

}  // namespace

void Mapper::PlaceCells() {
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind != TrainingOpKind::kRecurrentForward) continue;
    const TrainingLayer& l = graph_.layers[op.layer];
    if (KeptOf(l.cell) == 0) continue;
    const Raster r = RasterFor(static_cast<size_t>(op.Tensor(Role::kY)));
    cells_of_[op.layer] = Allocate(graph_.layers[op.layer - 1].name + ".K", TensorRole::kActivation,
                                   local_[tensor_of_[op.Tensor(Role::kY)]].format, r.Rows(),
                                   KeptOf(l.cell) * GateWidth(v_, l));
  }
}

// Several groups, as many as there is room for beside the weights: `of_sample` is what two steps of
// one sample hold.
Mapper::Turns Mapper::TurnsOf(const Raster& raster, int64_t weights, int64_t of_sample,
                              double budget) const {
  Turns turns;
  turns.raster = raster;
  const int64_t half = raster.samples / 2;
  turns.samples = half >= v_.array.cols ? half : raster.samples;
  turns.of_group = raster.samples / turns.samples;
  turns.groups = std::clamp<int64_t>((Scratchpad(budget) - weights) / (raster.samples * of_sample),
                                     1, std::min<int64_t>(raster.groups, 4));
  return turns;
}

void Mapper::AddRecurrentForward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& cell = graph_.layers[op.layer];
  const TrainingLayer& linear = graph_.layers[op.layer - 1];
  const int x = tensor_of_[op.Tensor(Role::kX)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int w = tensor_of_[op.Tensor(Role::kW)];
  const int u = tensor_of_[op.Tensor(Role::kU)];
  const int bias = op.Tensor(Role::kB) < 0 ? -1 : tensor_of_[op.Tensor(Role::kB)];
  const int state_bias = op.Tensor(Role::kD) < 0 ? -1 : tensor_of_[op.Tensor(Role::kD)];
  const bool is_gru = cell.cell == Cell::kGru;
  const bool resets = cell.cell == Cell::kResetGru;
  const int v = resets ? tensor_of_[op.Tensor(Role::kV)] : -1;
  const int reset = resets ? tensor_of_[op.Tensor(Role::kReset)] : -1;
  const bool has_state = cell.cell != Cell::kRnn;
  const int64_t hidden = GateWidth(v_, cell);
  const int64_t outputs = linear.out;
  const int64_t steps = cell.from.width;
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const int64_t x_pitch = OperandPitch({x, false}, linear.in);
  const int64_t w_pitch = OperandPitch({w, false}, local_[w].cols);
  const int64_t u_pitch = OperandPitch({u, false}, local_[u].cols);
  const int64_t v_pitch = resets ? OperandPitch({v, false}, local_[v].cols) : 0;
  const int64_t h_pitch = OutPitch(local_[y], hidden);
  const int64_t reset_pitch = resets ? OutPitch(local_[reset], hidden) : 0;
  const int64_t sums_pitch = RoundUp(SumsOf(cell.cell) * hidden * 4, word_);
  const int64_t state_pitch = RoundUp(hidden * 4, word_);
  const int kept = has_state ? cells_of_.at(op.layer) : -1;
  // h and, behind it, what BP needs.
  const int64_t out_pitch = h_pitch + (kept < 0 ? 0 : OutPitch(local_[kept], local_[kept].cols));
  const Turns turns =
      TurnsOf(raster_.at(y), outputs * w_pitch + cell.out * u_pitch + hidden * v_pitch,
              2 * (x_pitch + sums_pitch + out_pitch + reset_pitch) + state_pitch, budget);
  const int64_t samples = turns.samples;
  data_flow_[tag] =
      fmt::format("{}{} and {} stationary in the scratchpad, {} steps of {} samples, {} in turns",
                  local_[w].name, resets ? fmt::format(", {}", local_[u].name) : "",
                  local_[resets ? v : u].name, steps, samples, turns.groups * turns.of_group);

  const int w_rows = s_->AddBuffer(static_cast<uint32_t>(outputs * w_pitch), true);
  const int u_rows = s_->AddBuffer(static_cast<uint32_t>(cell.out * u_pitch), true);
  int biases = -1;
  std::vector<Load> shared;
  shared.push_back(
      GatherWeights(op.layer - 1, w, 0, outputs, 0, TapWidth(linear), w_pitch, w_rows, tag));
  if (bias >= 0) {
    const int64_t pitch = OutPitch(local_[bias], outputs);
    biases = s_->AddBuffer(static_cast<uint32_t>(pitch), true);
    shared.push_back(GatherPerChannel({bias}, outputs, biases, pitch, tag));
  }
  shared.push_back(
      GatherWeights(op.layer, u, 0, cell.out, 0, TapWidth(cell), u_pitch, u_rows, tag));
  int v_rows = -1;
  if (resets) {
    v_rows = s_->AddBuffer(static_cast<uint32_t>(hidden * v_pitch), true);
    shared.push_back(
        GatherWeights(op.layer - 2, v, 0, hidden, 0, TapWidth(cell), v_pitch, v_rows, tag));
  }
  int state_biases = -1;
  if (state_bias >= 0) {
    const int64_t pitch = OutPitch(local_[state_bias], outputs);
    state_biases = s_->AddBuffer(static_cast<uint32_t>(pitch), true);
    shared.push_back(GatherPerChannel({state_bias}, outputs, state_biases, pitch, tag));
  }
  const auto sum_slots = static_cast<int>(hidden / cols * wide);
  const auto kept_slots = static_cast<int>(hidden / cols);
  const auto kept_at = static_cast<int>(h_pitch / slot);
  auto program_of = [&](bool first) {
    if (cell.cell == Cell::kLstm) return lanes::LstmForward(sum_slots, kept_at, kept_slots, first);
    if (is_gru) {
      return lanes::GruForward(sum_slots, kept_at, kept_slots, state_bias >= 0, first);
    }
    if (resets) return lanes::ResetGruForward(sum_slots, kept_at, kept_slots, first);
    return lanes::RnnForward();
  };
  const LoadedProgram of_first = LoadLanes(program_of(true), shared, tag);
  LoadedProgram of_rest;
  if (steps > 1) of_rest = LoadLanes(program_of(false), shared, tag);
  LoadedProgram of_gates;
  if (steps > 1 && resets) {
    of_gates = LoadLanes(lanes::ResetGruGates(sum_slots, kept_at, kept_slots), shared, tag);
  }

  // Hidden values at a time, so that lanes begin while the array goes on.
  int64_t slice = hidden;
  while (slice % (2 * cols) == 0 && slice > 32) slice /= 2;

  struct Sequence {
    int state = -1, h = -1, before = -1, sums = -1, reset = -1;
  };
  // U's or V's part of a step: some of the gates, for a slice of the hidden values.
  struct States {
    int buffer = -1;
    int64_t pitch = 0;
    int weights = -1;  // buffer
    int64_t weights_pitch = 0;
  };
  auto add_states = [&](std::vector<Step>& work, const States& states, int sums, int64_t at,
                        int64_t gate, int64_t gates, int64_t to, bool adds) {
    ComputeSpec product;
    product.a = states.buffer;
    product.b = states.weights;
    product.b_pitch = states.weights_pitch;
    product.b_offset = (gate * hidden + at) * states.weights_pitch;
    VectorSpec vector;
    vector.out = sums;
    vector.out_offset = (to * hidden + at) * 4;
    if (adds) {
      vector.aux = sums;
      vector.aux_kind = isa::Aux::kAdd;
      vector.aux_offset = vector.out_offset.base;
    }
    Nest nest;
    nest.rows = {{samples, states.pitch, 0, sums_pitch, sums_pitch}};
    nest.depth = {{KWords(hidden), word_, word_}};
    nest.sets = {{slice / cols, 0, cols * states.weights_pitch, cols * 4, cols * 4},
                 {gates, 0, hidden * states.weights_pitch, hidden * 4, hidden * 4}};
    AddJobs(work, product, vector, nest, tag);
  };
  // Products of a sequence and what the lanes make of them, a slice at a time.
  auto add_slices = [&](Task& task, const LoadedProgram& program, const Sequence& s, int last,
                        unsigned written, const auto& add_products) {
    for (int64_t at = 0; at < hidden; at += slice) {
      const size_t begin = task.work.size();
      add_products(at);
      lanes::Job job;
      job.bounds = {slice / cols, 1, 1};
      job.level = 1;
      job.streams[0].base = static_cast<uint32_t>(at * 4);
      job.streams[0].strides = {sums_pitch / slot, wide, 0, 0};
      job.streams[1].base = static_cast<uint32_t>(at * 4);
      job.streams[1].strides = {state_pitch / slot, wide, 0, 0};
      job.streams[2].base = static_cast<uint32_t>(at * operand_);
      job.streams[2].strides = {out_pitch / slot, 1, 0, 0};
      job.streams[3].base = static_cast<uint32_t>(at * (resets ? operand_ : 4));
      job.streams[3].strides = {reset_pitch / slot, resets ? 1 : wide, 0, 0};
      AddSampleJobs(task, program, job, samples, {s.sums, s.state, s.h, last},
                    {sums_pitch, state_pitch, out_pitch, reset_pitch}, written, tag);
      // The lanes have one slice while the array has the next.
      for (size_t n = begin; n < task.work.size(); ++n) {
        for (BufferUse& use : task.work[n].buffers) {
          const bool sliced = use.buffer == s.sums || use.buffer == s.state || use.buffer == s.h;
          if (sliced) use.part = static_cast<int>(at / slice);
        }
      }
    }
  };
  for (int64_t first_group = 0; first_group < turns.raster.groups; first_group += turns.groups) {
    const int64_t count = turns.Count(first_group);
    std::vector<Sequence> sequences(static_cast<size_t>(count));
    for (Sequence& s : sequences) {
      if (has_state) s.state = s_->AddBuffer(static_cast<uint32_t>(samples * state_pitch), true);
    }
    // W's part of a step.
    auto add_inputs = [&](Task& task, Sequence& s, int64_t i, int64_t t) {
      const int of_step = s_->AddBuffer(static_cast<uint32_t>(samples * x_pitch), false);
      s.sums = s_->AddBuffer(static_cast<uint32_t>(samples * sums_pitch), false);
      task.loads.emplace_back(LoadPlain(x, turns.Row(first_group, i, t), samples, 0, linear.in, 0,
                                        x_pitch, false, of_step, tag));
      ComputeSpec product;
      product.a = of_step;
      product.b = w_rows;
      product.b_pitch = w_pitch;
      VectorSpec vector;
      vector.out = s.sums;
      vector.aux = biases;
      vector.aux_kind = isa::Aux::kAdd;
      Nest nest;
      nest.rows = {{samples, x_pitch, 0, sums_pitch, 0}};
      nest.depth = {{KWords(linear.in), word_, word_}};
      nest.sets = {{outputs / cols, 0, cols * w_pitch, cols * 4, cols * 4}};
      AddJobs(task.work, product, vector, nest, tag);
    };
    auto begin_step = [&](Sequence& s) {
      s.before = s.h;
      s.h = s_->AddBuffer(static_cast<uint32_t>(samples * out_pitch), false);
    };
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t i = 0; i < count && resets && t > 0; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        Task task;
        begin_step(s);
        s.reset = s_->AddBuffer(static_cast<uint32_t>(samples * reset_pitch), false);
        add_slices(task, of_gates, s, s.reset, 0b1100, [&](int64_t at) {
          add_states(task.work, {s.before, out_pitch, u_rows, u_pitch}, s.sums, at, 0, 2, 0, true);
        });
        task.stores.push_back(StorePlain(reset, turns.Row(first_group, i, t - 1), samples, 0,
                                         hidden, reset_pitch, s.reset, tag));
        AddTask(std::move(task));
      }
      for (int64_t i = 0; i < count; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        Task task;
        task.loads = std::exchange(shared, {});
        if (t == 0) add_inputs(task, s, i, 0);
        if (t == 0 || !resets) begin_step(s);
        add_slices(task, t == 0 ? of_first : of_rest, s, state_biases, 0b0110, [&](int64_t at) {
          if (t == 0) return;
          if (resets) {
            const States states{s.reset, reset_pitch, v_rows, v_pitch};
            return add_states(task.work, states, s.sums, at, 0, 1, 2, true);
          }
          const States states{s.before, out_pitch, u_rows, u_pitch};
          const int64_t added = is_gru ? 2 : outputs / hidden;
          add_states(task.work, states, s.sums, at, 0, added, 0, true);
          if (is_gru) add_states(task.work, states, s.sums, at, 2, 1, 3, false);
        });
        if (t + 1 < steps) add_inputs(task, s, i, t + 1);
        const int64_t row = turns.Row(first_group, i, t);
        task.stores.push_back(StorePlain(y, row, samples, 0, hidden, out_pitch, s.h, tag));
        if (kept >= 0) {
          task.stores.push_back(
              StorePlain(kept, row, samples, 0, local_[kept].cols, out_pitch, s.h, tag, h_pitch));
        }
        AddTask(std::move(task));
      }
    }
  }
}

void Mapper::AddRecurrentBackward(const TrainingOp& op, int tag, double budget) {
  FlushLate();
  const TrainingLayer& cell = graph_.layers[op.layer];
  const int dy = tensor_of_[op.Tensor(Role::kDz)];
  const int y = tensor_of_[op.Tensor(Role::kY)];
  const int u = tensor_of_[op.Tensor(Role::kU)];
  const std::vector<int> gradients = op.Tensors(Role::kDx);
  const int dsums = tensor_of_[gradients.front()];
  const bool is_gru = cell.cell == Cell::kGru;
  const bool resets = cell.cell == Cell::kResetGru;
  const int v = resets ? tensor_of_[op.Tensor(Role::kV)] : -1;
  const bool has_state = cell.cell != Cell::kRnn;
  const int64_t hidden = GateWidth(v_, cell);
  const int64_t outputs = cell.out;
  const int64_t gates = GatesOf(cell.cell) * hidden;
  const int64_t steps = cell.from.width;
  const int64_t cols = v_.array.cols;
  const int64_t slot = cols * operand_;
  const int64_t wide = 4 / operand_;
  const int kept_tensor = has_state ? cells_of_.at(op.layer) : y;
  const int64_t kept_cols = local_[kept_tensor].cols;
  const int64_t kept_pitch = OutPitch(local_[kept_tensor], kept_cols);
  const int64_t dy_pitch = LanePitch(hidden);
  const int64_t width = WidthOf(dy);  // of gradients, in operands
  // Gradients by U's part of the sums; of a GRU n's other part lies behind them, of one that
  // resets all of n.
  const int64_t n_at = resets ? outputs * operand_ : LanePitch(outputs);
  const int64_t ds_pitch = resets ? LanePitch(gates) : n_at + (is_gru ? LanePitch(hidden) : 0);
  // What passes by the sums and, behind it, what comes back through U and V.
  const int64_t state_pitch = RoundUp((has_state ? 2 : 1) * hidden * 4, word_);
  const int64_t rest_offset = has_state ? hidden * 4 : 0;
  const int64_t u_pitch = KWords(outputs) * word_;
  const int64_t v_pitch = resets ? KWords(hidden) * word_ : 0;
  const Turns turns = TurnsOf(
      raster_.at(y), hidden * (u_pitch + v_pitch),
      2 * (kept_pitch + width * (dy_pitch + ds_pitch)) + (width - 1) * 4 * ds_pitch + state_pitch,
      budget);
  const int64_t samples = turns.samples;
  data_flow_[tag] = fmt::format(
      "{}{} transposed stationary in the scratchpad, {} steps of {} samples, {} in turns",
      local_[u].name, resets ? fmt::format(" and {}", local_[v].name) : "", steps, samples,
      turns.groups * turns.of_group);

  std::vector<Load> shared;
  int u_rows = -1, v_rows = -1;
  if (steps > 1) {
    u_rows = s_->AddBuffer(static_cast<uint32_t>(hidden * u_pitch), true);
    shared.push_back(GatherTransposed(op.layer, u, 0, hidden, 0, 1, u_pitch, u_rows, tag));
  }
  if (steps > 1 && resets) {
    v_rows = s_->AddBuffer(static_cast<uint32_t>(hidden * v_pitch), true);
    shared.push_back(GatherTransposed(op.layer - 2, v, 0, hidden, 0, 1, v_pitch, v_rows, tag));
  }
  const auto kept_slots = static_cast<int>(hidden / cols);
  const auto rest_slots = static_cast<int>(hidden / cols * wide);
  auto program_of = [&](bool first) {
    if (cell.cell == Cell::kLstm) {
      return lanes::LstmBackward(kept_slots, rest_slots, kept_slots, first);
    }
    if (is_gru) {
      return lanes::GruBackward(kept_slots, rest_slots, kept_slots, static_cast<int>(n_at / slot),
                                first);
    }
    if (resets) return lanes::ResetGruBackward(kept_slots, rest_slots, kept_slots, first);
    return lanes::RnnBackward(first);
  };
  const unsigned wide_streams = WideStreams({-1, -1, dy, dsums});
  const LoadedProgram of_first = LoadLanes(program_of(true), shared, tag, wide_streams);
  LoadedProgram of_rest;
  if (steps > 1) of_rest = LoadLanes(program_of(false), shared, tag, wide_streams);
  LoadedProgram of_gates;
  if (steps > 1 && resets) {
    of_gates = LoadLanes(lanes::ResetGruGatesBackward(kept_slots, rest_slots, kept_slots), shared,
                         tag, wide_streams);
  }
  LoadedProgram splitting;
  if (steps > 1 && width > 1) {
    splitting = LoadLanes(lanes::SplitTensor(v_.fraction_bits), shared, tag, 0b1);
  }

  // Gradients by the sums as the lanes make them, and as the array takes them.
  struct Sequence {
    int state = -1, ds = -1, operand = -1, kept = -1;
  };
  // What comes back through weights [hidden][depth], from gradients at an offset.
  auto add_rest = [&](Task& task, const Sequence& s, int weights, int64_t pitch, int64_t offset,
                      int64_t depth) {
    ComputeSpec product;
    product.a = s.operand;
    product.a_offset = offset;
    product.a_low = width > 1 ? samples * ds_pitch : 0;
    product.b = weights;
    product.b_pitch = pitch;
    VectorSpec vector;
    vector.out = s.state;
    vector.out_offset = rest_offset;
    Nest nest;
    nest.rows = {{samples, ds_pitch, 0, state_pitch}};
    nest.depth = {{KWords(depth), word_, word_}};
    nest.sets = {{hidden / cols, 0, cols * pitch, cols * 4}};
    AddJobs(task.work, product, vector, nest, tag);
  };
  auto add_lanes = [&](Task& task, Sequence& s, const LoadedProgram& program, int of_step,
                       bool goes_on) {
    lanes::Job job;
    job.bounds = {hidden / cols, 1, 1};
    job.level = 1;
    job.streams[0].strides = {kept_pitch / slot, 1, 0, 0};
    job.streams[1].strides = {state_pitch / slot, wide, 0, 0};
    job.streams[2].strides = {dy_pitch / slot, 1, 0, 0};
    job.streams[3].strides = {ds_pitch / slot, 1, 0, 0};
    AddSampleJobs(task, program, job, samples, {s.kept, s.state, of_step, s.ds},
                  {kept_pitch, state_pitch, dy_pitch, ds_pitch}, 0b1010, tag);
    s.operand = s.ds;
    if (width == 1 || !goes_on) return;
    s.operand = s_->AddBuffer(static_cast<uint32_t>(2 * samples * ds_pitch), false);
    AddSplitting(task, splitting, s.ds, s.operand, samples * ds_pitch, tag);
  };
  auto add_stores = [&](Task& task, const Sequence& s, int64_t row) {
    auto store = [&](int tensor, int64_t col, int64_t count, int64_t offset) {
      task.stores.push_back(StorePlain(tensor, row, samples, col, count, ds_pitch * width, s.ds,
                                       tag, offset * width));
    };
    if (is_gru) {
      store(tensor_of_[gradients.back()], 0, outputs, 0);
      store(dsums, 0, 2 * hidden, 0);
      store(dsums, 2 * hidden, hidden, n_at);
      return;
    }
    store(dsums, 0, gates, 0);
    if (resets) {
      store(tensor_of_[gradients[1]], 0, outputs, 0);
      store(tensor_of_[gradients[2]], 0, hidden, n_at);
    }
  };
  for (int64_t first_group = 0; first_group < turns.raster.groups; first_group += turns.groups) {
    const int64_t count = turns.Count(first_group);
    std::vector<Sequence> sequences(static_cast<size_t>(count));
    for (Sequence& s : sequences) {
      s.state = s_->AddBuffer(static_cast<uint32_t>(samples * state_pitch), true);
    }
    for (int64_t t = steps - 1; t >= 0; --t) {
      for (int64_t i = 0; i < count; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        const bool first = t == steps - 1;
        const int64_t row = turns.Row(first_group, i, t);
        Task task;
        task.loads = std::exchange(shared, {});
        s.kept = s_->AddBuffer(static_cast<uint32_t>(samples * kept_pitch), false);
        const int of_step = s_->AddBuffer(static_cast<uint32_t>(samples * dy_pitch * width), false);
        task.loads.emplace_back(
            LoadPlain(kept_tensor, row, samples, 0, kept_cols, 0, kept_pitch, false, s.kept, tag));
        task.loads.emplace_back(
            LoadPlain(dy, row, samples, 0, hidden, 0, dy_pitch * width, false, of_step, tag));
        if (!first) add_rest(task, s, u_rows, u_pitch, 0, outputs);
        s.ds = s_->AddBuffer(static_cast<uint32_t>(samples * ds_pitch * width), false);
        add_lanes(task, s, first ? of_first : of_rest, of_step, t > 0);
        if (t == 0 || !resets) add_stores(task, s, row);
        AddTask(std::move(task));
      }
      for (int64_t i = 0; i < count && resets && t > 0; ++i) {
        Sequence& s = sequences[static_cast<size_t>(i)];
        Task task;
        add_rest(task, s, v_rows, v_pitch, n_at, hidden);
        add_lanes(task, s, of_gates, -1, true);
        add_stores(task, s, turns.Row(first_group, i, t));
        AddTask(std::move(task));
      }
    }
  }
}

}  // namespace vaultrain
