// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/mapper.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mapper/mapping.h"
#include "vaultrain/error.h"

namespace vaultrain {

using isa::Aux;
using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

// ---- moves

Step Mapper::LoadPlain(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols,
                       int64_t pad_rows, int64_t pitch, bool convert, int buffer, int tag,
                       int64_t offset, Half half) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  // Halves fill their words: what lies behind a row is multiplied by zeros.
  if (half != Half::kNone) cols = RoundUp(cols, word_elements_);
  Step step;
  step.engine = Engine::kLoad;
  step.buffers = {{buffer, true}};
  step.dram = {{RectOf(tensor, row, rows, col, cols), false}};
  if (!convert && pad_rows == 0 && col.per_output_part == 0 &&
      RoundUp(cols * bytes, kAccess) == pitch) {
    step.copy = {offset, pitch};
  }
  const int64_t accesses = CeilDiv(cols * bytes, kAccess);
  step.cycles = rows * accesses * kAccess / beat_;
  const int64_t address = static_cast<int64_t>(t.address) + row * t.pitch_bytes;
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=, this](const Place& place) {
    Descriptor d(Opcode::kLoad);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, address + col.At(place) * bytes);
    d.Set(FieldId::kConvert, convert);
    d.Set(FieldId::kHalf, static_cast<int64_t>(half));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset);
    d.Set(FieldId::kSpadPitch, pitch);
    d.Set(FieldId::kPadRows, pad_rows);
    return d;
  };
  return step;
}

// Where the columns depend on the part, all of them count.
Rect Mapper::RectOf(int tensor, int64_t row, int64_t rows, Offset col, int64_t cols) const {
  if (col.per_output_part != 0) return {tensor, row, row + rows, 0, local_[tensor].cols};
  return {tensor, row, row + rows, col.base, col.base + cols};
}

Step Mapper::StorePlain(int tensor, int64_t row, int64_t rows, int64_t col, int64_t cols,
                        int64_t pitch, int buffer, int tag, int64_t offset) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  Step step;
  step.engine = Engine::kStore;
  step.buffers = {{buffer, false}};
  step.dram = {{{tensor, row, row + rows, col, col + cols}, true}};
  if (RoundUp(cols * bytes, kAccess) == pitch) step.copy = {offset, pitch};
  const int64_t accesses = CeilDiv(cols * bytes, kAccess);
  step.cycles = rows * accesses * kAccess / beat_;
  const uint64_t address = t.address + static_cast<uint64_t>(row * t.pitch_bytes + col * bytes);
  const int64_t dram_pitch = t.pitch_bytes;
  step.make = [=, this](const Place&) {
    Descriptor d(Opcode::kStore);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kDramAddr, static_cast<int64_t>(address));
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset);
    d.Set(FieldId::kSpadPitch, pitch);
    return d;
  };
  return step;
}

int64_t Mapper::OperandPitch(const Operand2D& operand, int64_t k) const {
  if (operand.transposed) return KWords(k) * word_;
  const ProgramTensor& t = local_[operand.tensor];
  const int64_t source = RoundUp(k * BytesOf(t), kAccess);
  return RoundUp(Converts(t) ? source / 2 : source, word_);
}

// Rows [row, row + rows) of the operand, followed by zero rows up to padded_rows.
std::vector<Step> Mapper::LoadOperand(const Operand2D& operand, int64_t row, int64_t rows,
                                      int64_t padded_rows, int64_t k, int buffer, int tag) const {
  const ProgramTensor& t = local_[operand.tensor];
  const int64_t pitch = OperandPitch(operand, k);
  auto load = [&](Half half, int64_t offset) -> std::vector<Step> {
    if (!operand.transposed) {
      return {LoadPlain(operand.tensor, row, rows, 0, k, padded_rows - rows, pitch, Converts(t),
                        buffer, tag, offset, half)};
    }
    return LoadTransposed(operand.tensor, 0, k, row, padded_rows, KWords(k) * word_elements_ - k,
                          pitch, buffer, offset, tag, half);
  };
  if (!HasHalves(t)) return load(Half::kNone, 0);
  std::vector<Step> steps = load(Half::kHigh, 0);
  for (Step& step : load(Half::kLow, padded_rows * pitch)) steps.push_back(std::move(step));
  return steps;
}

// The zeros behind the last column in memory are the padding of columns.
std::vector<Step> Mapper::LoadTransposed(int tensor, int64_t row, int64_t rows, Offset col,
                                         int64_t count, int64_t pad_rows, int64_t pitch, int buffer,
                                         int64_t offset, int tag, Half half) const {
  const ProgramTensor& t = local_[tensor];
  const int64_t bytes = BytesOf(t);
  const bool convert = Converts(t);
  const int64_t widest = isa::kTurnBeats * beat_ / operand_;
  std::vector<Step> steps;
  for (int64_t c = 0; c < count; c += widest) {
    const int64_t columns = std::min(widest, count - c);
    Step step;
    step.engine = Engine::kLoad;
    step.buffers = {{buffer, true}};
    step.dram = {{RectOf(tensor, row, rows, {col.base + c, col.per_output_part}, columns), false}};
    const int64_t accesses = CeilDiv(columns * bytes, kAccess);
    step.cycles = rows * accesses * kAccess / beat_;
    const int64_t address = static_cast<int64_t>(t.address) + row * t.pitch_bytes + c * bytes;
    const int64_t dram_pitch = t.pitch_bytes;
    step.make = [=, this](const Place& place) {
      Descriptor d(Opcode::kLoad);
      d.Set(FieldId::kTag, tag);
      d.Set(FieldId::kDramAddr, address + col.At(place) * bytes);
      d.Set(FieldId::kConvert, convert);
      d.Set(FieldId::kHalf, static_cast<int64_t>(half));
      d.Set(FieldId::kTranspose, 1);
      d.Set(FieldId::kRows, rows);
      d.Set(FieldId::kRowAccesses, accesses);
      d.Set(FieldId::kDramPitch, dram_pitch);
      d.Set(FieldId::kSpadAddr, s_->AddressOf(buffer) + offset + c * pitch);
      d.Set(FieldId::kSpadPitch, pitch);
      d.Set(FieldId::kPadRows, pad_rows);
      d.Set(FieldId::kCols, columns);
      return d;
    };
    steps.push_back(std::move(step));
  }
  return steps;
}

// ---- jobs of the array and the vector unit

Step Mapper::Compute(const ComputeSpec& spec, int tag) const {
  const int64_t cols = v_.array.cols;
  const int64_t halves = spec.HasHalves() ? 2 : 1;
  Step step;
  step.engine = Engine::kCompute;
  step.buffers = {{spec.a, false}, {spec.b, false}};
  step.cycles = spec.m * spec.groups * spec.k_words * halves * spec.n_tiles;
  step.make = [=, this](const Place&) {
    Descriptor d(Opcode::kCompute);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kFirst, 1);
    d.Set(FieldId::kLast, 1);
    d.Set(FieldId::kBLevel, 2);
    d.Set(FieldId::kStoreLevel, 4);
    d.Set(FieldId::kHalves, spec.HasHalves());
    const std::array<int64_t, isa::kLoops> bounds = {spec.m, spec.groups,  spec.k_words,
                                                     halves, spec.n_tiles, 1};
    const auto a_inc = isa::Increments(
        bounds, {spec.a_pitch / word_, spec.group_pitch / word_, 1, spec.a_low / word_, 0, 0});
    const auto b_inc =
        isa::Increments({1, 1, spec.k_words, halves, spec.n_tiles, 1},
                        {0, 0, 1, spec.b_low / word_, cols * (spec.b_pitch / word_), 0});
    for (int l = 0; l < isa::kLoops; ++l) {
      d.Set(FieldId::kBound, bounds[l], l);
      d.Set(FieldId::kAInc, bounds[l] > 1 ? a_inc[l] : 0, l);
      d.Set(FieldId::kBInc, bounds[l] > 1 ? b_inc[l] : 0, l);
    }
    d.Set(FieldId::kABase, (s_->AddressOf(spec.a) + spec.a_offset) / word_);
    d.Set(FieldId::kBBase, (s_->AddressOf(spec.b) + spec.b_offset) / word_);
    d.Set(FieldId::kBColInc, spec.b_pitch / word_);
    return d;
  };
  return step;
}

Step Mapper::Vector(const ComputeSpec& of, const VectorSpec& spec, int tag) const {
  const int64_t cols = v_.array.cols;
  Step step;
  step.engine = Engine::kVector;
  step.buffers = {{spec.out, true}};
  if (spec.aux >= 0) step.buffers.push_back({spec.aux, false});
  step.make = [=, this](const Place& place) {
    const bool has_aux = spec.aux >= 0 && (spec.aux_part < 0 || spec.aux_part == place.batch_part);
    Descriptor d(Opcode::kVector);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kPopLevel, 1);
    d.Set(FieldId::kUseScale, spec.scale);
    d.Set(FieldId::kScalar, spec.scale ? kScalarStep : 0);
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? spec.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, spec.relu);
    d.Set(FieldId::kOutFp32, spec.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, spec.tail ? 1 : isa::kNoTail);
    const std::array<int64_t, isa::kLoops> bounds = {of.Rows(), of.n_tiles, 1, 1, 1, 1};
    const auto out_inc =
        isa::Increments(bounds, {spec.out_pitch, cols * spec.out_bytes, 0, 0, 0, 0});
    const auto aux_inc =
        isa::Increments(bounds, {spec.aux_pitch, cols * spec.aux_bytes, 0, 0, 0, 0});
    for (int l = 0; l < isa::kLoops; ++l) {
      d.Set(FieldId::kVBound, bounds[l], l);
      d.Set(FieldId::kOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kOutBase, s_->AddressOf(spec.out) + spec.out_offset.At(place));
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(spec.aux) + spec.aux_offset : 0);
    return d;
  };
  return step;
}

Step Mapper::Elements(int in, int64_t in_offset, int64_t in_pitch, int64_t rows, int64_t cols,
                      const VectorSpec& spec, int tag) const {
  const int64_t lanes = v_.array.cols;
  Step step;
  step.engine = Engine::kVector;
  step.buffers = {{in, false}, {spec.out, true}};
  if (spec.aux >= 0) step.buffers.push_back({spec.aux, false});
  step.make = [=, this](const Place& place) {
    const bool has_aux = spec.aux >= 0 && (spec.aux_part < 0 || spec.aux_part == place.batch_part);
    Descriptor d(Opcode::kElements);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kUseScale, spec.scale);
    d.Set(FieldId::kScalar, spec.scale ? kScalarStep : 0);
    d.Set(FieldId::kAuxKind, static_cast<int64_t>(has_aux ? spec.aux_kind : Aux::kNone));
    d.Set(FieldId::kRelu, spec.relu);
    d.Set(FieldId::kOutFp32, spec.out_bytes == 4 && operand_ == 2);
    d.Set(FieldId::kTailLoop, isa::kNoTail);
    const std::array<int64_t, isa::kLoops> bounds = {CeilDiv(cols, lanes), rows, 1, 1, 1, 1};
    const auto out_inc =
        isa::Increments(bounds, {lanes * spec.out_bytes, spec.out_pitch, 0, 0, 0, 0});
    const auto src_inc = isa::Increments(bounds, {lanes * 4, in_pitch, 0, 0, 0, 0});
    const auto aux_inc =
        isa::Increments(bounds, {lanes * spec.aux_bytes, spec.aux_pitch, 0, 0, 0, 0});
    for (int l = 0; l < isa::kLoops; ++l) d.Set(FieldId::kVBound, bounds[l], l);
    for (int l = 0; l < 2; ++l) {
      d.Set(FieldId::kEOutInc, bounds[l] > 1 ? out_inc[l] : 0, l);
      d.Set(FieldId::kSrcInc, bounds[l] > 1 ? src_inc[l] : 0, l);
      d.Set(FieldId::kEAuxInc, bounds[l] > 1 && has_aux ? aux_inc[l] : 0, l);
    }
    d.Set(FieldId::kSrcBase, s_->AddressOf(in) + in_offset);
    d.Set(FieldId::kOutBase, s_->AddressOf(spec.out) + spec.out_offset.At(place));
    d.Set(FieldId::kAuxBase, has_aux ? s_->AddressOf(spec.aux) + spec.aux_offset : 0);
    return d;
  };
  return step;
}

// ---- operations

// Bytes that a descriptor moves belong to the job that it is tagged with.
void Mapper::CountBytes(const Descriptor& d) {
  ProgramJob& job = program_.jobs[d.Get(FieldId::kTag)];
  switch (static_cast<Opcode>(d.Get(FieldId::kOpcode))) {
    case Opcode::kLoad:
    case Opcode::kStore:
      job.dram_bytes +=
          static_cast<uint64_t>(d.Get(FieldId::kRows) * d.Get(FieldId::kRowAccesses) * kAccess);
      break;
    case Opcode::kSend:
      job.noc_bytes += static_cast<uint64_t>(d.Get(FieldId::kSendRows) * d.Get(FieldId::kRowFlits) *
                                             v_.mesh.link_bits / 8);
      break;
    default:
      break;
  }
}

void Mapper::AddOp(const TrainingOp& op, int tag, double budget) {
  switch (op.kind) {
    case TrainingOpKind::kSoftmaxCrossEntropy:
      return AddCrossEntropy(op, tag);
    case TrainingOpKind::kMeanSquare:
      return AddMeanSquare(op, tag);
    case TrainingOpKind::kPoolForward:
      return AddPoolForward(op, tag, budget);
    case TrainingOpKind::kPoolBackward:
      return AddPoolBackward(op, tag, budget);
    case TrainingOpKind::kElementForward:
      return AddElementForward(op, tag, budget);
    case TrainingOpKind::kElementBackward:
      return AddElementBackward(op, tag, budget);
    case TrainingOpKind::kSumGradients:
      return AddSum(op, tag, budget);
    case TrainingOpKind::kCopy:
      return AddCopy(op, tag, budget);
    case TrainingOpKind::kSoftmaxForward:
      return AddSoftmaxForward(op, tag, budget);
    case TrainingOpKind::kSoftmaxBackward:
      return AddSoftmaxBackward(op, tag, budget);
    case TrainingOpKind::kProduct:
      return AddProduct(op, tag, budget);
    case TrainingOpKind::kArrange:
      return AddArrange(op, tag, budget);
    case TrainingOpKind::kNormaliseForward:
      return AddNormaliseForward(op, tag, budget);
    case TrainingOpKind::kNormaliseBackward:
      return AddNormaliseBackward(op, tag, budget);
    case TrainingOpKind::kRecurrentForward:
      return AddRecurrentForward(op, tag, budget);
    case TrainingOpKind::kRecurrentBackward:
      return AddRecurrentBackward(op, tag, budget);
    case TrainingOpKind::kLinearForward:
    case TrainingOpKind::kLinearBackward:
    case TrainingOpKind::kLinearUpdate:
      break;
  }
  if (IsWindowed(op) || (HasOptimiserStep() && op.kind == TrainingOpKind::kLinearUpdate)) {
    // Tokens for sums come in the order in which the sums were begun.
    FlushLate();
    if (op.kind == TrainingOpKind::kLinearForward) return AddWindowForward(op, tag, budget);
    if (op.kind == TrainingOpKind::kLinearBackward) return AddWindowBackward(op, tag, budget);
    return AddWindowUpdate(op, tag, budget);
  }
  FlushAfterNext();
  if (grid_.places.size() > 1) {
    if (op.kind == TrainingOpKind::kLinearForward) return AddForward(op, tag, budget);
    if (op.kind == TrainingOpKind::kLinearBackward) return AddBackward(op, tag, budget);
    return AddUpdate(op, tag, budget);
  }
  auto tensor = [&](Role role) {
    const int t = op.Tensor(role);
    return t < 0 ? -1 : tensor_of_[t];
  };
  Gemm g;
  g.layer = graph_.layers[op.layer].name;
  g.tag = tag;
  const TrainingLayer& layer = graph_.layers[op.layer];
  g.m = local_batch_;
  if (op.kind == TrainingOpKind::kLinearForward) {
    g.n = layer.out;
    g.k = layer.in;
    g.a = {tensor(Role::kX), false};
    g.b = {tensor(Role::kW), false};
    g.out = tensor(Role::kY);
    g.bias = tensor(Role::kB);
    g.relu = op.relu;
    return AddGemm(g, budget);
  }
  if (op.kind == TrainingOpKind::kLinearBackward) {
    g.n = layer.in;
    g.k = layer.out;
    g.a = {tensor(Role::kDz), false};
    g.b = {tensor(Role::kW), true};
    g.out = tensor(Role::kDx);
    g.mask = op.mask ? tensor(Role::kX) : -1;
    return AddGemm(g, budget);
  }
  // Rows of the weights are outputs: A is dZ transposed, B is X transposed.
  g.a = {tensor(Role::kDz), true};
  g.b = {tensor(Role::kX), true};
  g.out = tensor(Role::kW);
  g.m = local_[g.out].rows;
  g.n = local_[g.out].cols;
  g.k = graph_.batch;
  // Of a parameter: its gradient stored, if asked for, then the parameter updated with it.
  auto update = [&](Gemm gemm) {
    if (keep_gradients_) {
      Gemm gradient = gemm;
      gradient.out = gradient_of_.at(gemm.out);
      AddGemm(gradient, budget);
    }
    gemm.in_place = true;
    gemm.scale = true;
    AddGemm(gemm, budget);
  };
  update(g);
  if (tensor(Role::kB) >= 0) {
    Gemm bias = g;
    bias.a = {ones_, false};
    bias.b = {tensor(Role::kDz), true};
    bias.out = tensor(Role::kB);
    bias.m = 1;
    bias.n = local_[bias.out].cols;
    update(bias);
  }
}

Program Mapper::Map(const std::string& network) {
  const bool by_class = graph_.loss_kind == Loss::kSoftmaxCrossEntropy;
  if (by_class && graph_.classes > v_.vector.softmax_classes) {
    RefuseInput("{}: {} classes; variant {} has vector.softmax_classes = {}", graph_.file,
                graph_.classes, v_.name, v_.vector.softmax_classes);
  }
  if (graph_.ops.size() > isa::kTags) {
    RefuseInput("{}: {} operations; a program has at most {}", graph_.file, graph_.ops.size(),
                isa::kTags);
  }
  program_.variant_digest = VariantDigest(v_);
  program_.variant = v_.name;
  program_.network = network;
  program_.batch = static_cast<int>(graph_.batch);
  program_.classes = static_cast<int>(graph_.classes);
  program_.macs_needed = static_cast<uint64_t>(graph_.MacsNeeded());
  program_.partition = PartitionText();
  PlanLayers();
  PlaceTensors();
  Expand();
  Fill(StartingParameters(given_, recipe_));

  for (size_t i = 0; i < graph_.ops.size(); ++i) {
    const TrainingOp& op = graph_.ops[i];
    ProgramJob job;
    job.tag = static_cast<int>(i);
    job.layer = op.IsLoss() ? "loss" : graph_.layers[op.layer].name;
    job.phase = std::string(PhaseName(op.phase));
    job.macs = static_cast<uint64_t>(op.macs);
    program_.jobs.push_back(std::move(job));
  }
  for (bool train : {false, true}) {
    ProgramStream stream;
    stream.name = train ? "train" : "infer";
    size_t longest = 0;
    for (std::vector<Descriptor>& descriptors : MapOps(train)) {
      NodeProgram& node = stream.nodes.emplace_back();
      node.address = (stream.nodes.size() - 1) * vault_bytes_ + program_.memory_bytes;
      longest = std::max(longest, descriptors.size());
      node.descriptors = std::move(descriptors);
    }
    program_.memory_bytes += longest * isa::kDescriptorBytes;
    program_.streams.push_back(std::move(stream));
  }
  for (const NodeProgram& node : program_.streams.back().nodes) {
    for (const Descriptor& d : node.descriptors) CountBytes(d);
  }
  ExplainJobs(program_.streams.back());
  for (size_t i = 0; i < program_.jobs.size(); ++i) {
    program_.jobs[i].data_flow =
        data_flow_[i].empty() ? "rows through the vector unit" : data_flow_[i];
  }
  if (program_.memory_bytes > vault_bytes_) {
    RefuseInput(
        "{}: the network needs {} bytes of a vault at batch {}; rule: they fit dram.mib, {} bytes "
        "in variant {}",
        graph_.file, program_.memory_bytes, graph_.batch, vault_bytes_, v_.name);
  }
  for (const ProgramStream& stream : program_.streams) {
    for (const NodeProgram& node : stream.nodes) {
      program_.image.push_back({node.address, DescriptorBytes(node)});
    }
  }

  // Of a sample; one-hot values stand for one each.
  const int64_t taken = graph_.one_hot ? graph_.InputSteps() : graph_.features;
  // Bytes of the bound: inputs and labels once, parameters as the definition counts them;
  // activations stay on chip where the largest layer's fit.
  uint64_t bytes = static_cast<uint64_t>(graph_.batch * taken * operand_ +
                                         graph_.batch * (by_class ? 2 : 4 * graph_.classes));
  for (const TrainingOp& op : graph_.ops) {
    if (op.kind == TrainingOpKind::kLinearUpdate) {
      const TrainingLayer& layer = given_.layers[op.layer];
      const uint64_t parameters =
          static_cast<uint64_t>(layer.in * layer.out + (layer.bias ? layer.out : 0));
      // Narrow form read, master read and written, narrow form written; fp32 has no narrow form of
      // its own.
      bytes += parameters * 12;
    } else if (op.kind == TrainingOpKind::kLinearBackward ||
               op.kind == TrainingOpKind::kRecurrentBackward) {
      for (const Role role : {Role::kW, Role::kU, Role::kV}) {
        const int weights = op.Tensor(role);
        if (weights < 0) continue;
        bytes += static_cast<uint64_t>(given_.tensors[weights].elements() * operand_);
      }
    }
  }
  // Activations beyond what all scratchpads hold go out and come back.
  int64_t activations = 0;
  for (const TrainingTensor& t : given_.tensors) {
    if (t.kind == TensorKind::kActivation) activations += t.elements() * operand_;
  }
  bytes += static_cast<uint64_t>(
      2 * std::max<int64_t>(0, activations - int64_t{v_.scratchpad.kib} * 1024 * v_.vaults));
  program_.bound_bytes = bytes;
  return std::move(program_);
}

Program MapNetwork(const Variant& variant, const VaultDram& dram, const TrainingGraph& graph,
                   const Recipe& recipe, const std::string& network, const MapOptions& options) {
  for (const TrainingLayer& layer : graph.layers) {
    if (!layer.IsFlat() && variant.WordElements() % variant.array.cols != 0) {
      RefuseInput(
          "{}: layer {}: variant {} has words of {} operands and {} columns; rule for "
          "images and sequences: array.cols divides array.rows * array.lanes",
          graph.file, layer.name, variant.name, variant.WordElements(), variant.array.cols);
    }
  }
  const Partition cheapest = ChoosePartition(variant, dram, graph, options.explanation);
  const Partition partition =
      options.partition ? CheckedPartition(variant, graph, *options.partition) : cheapest;
  if (options.partition && options.explanation != nullptr) {
    options.explanation->partition_reason = "as asked for";
  }
  return Mapper(variant, dram, graph, recipe, options, partition).Map(network);
}

double PinAvailability(const VaultDram& dram) {
  return 1.0 - static_cast<double>(dram.timing.tRFC) / dram.timing.tREFI;
}

double UtilisationBound(const Program& program, const Variant& variant, const VaultDram& dram) {
  const double nodes = variant.vaults;
  const double at_peak =
      static_cast<double>(program.macs_needed) / (nodes * variant.MacsPerCycle());
  const double at_pins = static_cast<double>(program.bound_bytes) * 8 /
                         (nodes * dram.geometry.data_bits * PinAvailability(dram));
  return std::min(1.0, at_peak / at_pins);
}

}  // namespace vaultrain
