// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The test cases of ONNX itself (Debian's libonnx-testdata) for the operators of our table: by
// onnx_definition.h, and those that can be trained through the reference's feed-forward too,
// through the golden engine in fp32 and, if they are small, through the RTL, whose step of training
// has to be golden's bit for bit. As a case has no samples and a graph has, each is put in several
// ways, each of which must give what ONNX wants or be refused; a case that is refused in all must
// be so for a reason that stands here.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "onnx_builder.h"
#include "onnx_definition.h"
#include "vaultrain/device.h"
#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/paths.h"
#include "vaultrain/recipe.h"
#include "vaultrain/reference.h"
#include "vaultrain/tensors.h"
#include "vaultrain/trainer.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = "/usr/share/libonnx-testdata/data";

// Why a case is not for us.
const char* const kReasons[] = {
    // data types
    "has element type",      // other than float
    "has a dimension of 0",  // no values
    "keeps nothing",         // the same
    "has no tensor shape",   // sequences and optional values
    // attributes
    "images [N,C,H,W]",            // three dimensions and more of an image
    "attribute",                   // older than opset 7, axis of a table
    "transA = 1",                  //
    "alpha = ",                    // of Gemm
    "beta = ",                     //
    "mixes samples; accepted: 1",  // axes of Flatten
    "does not broadcast to [N",    // a bias for each sample
    "peepholes",                   //
    // random generators
    "random generator",
    // graphs
    "is the batch and mixes",  // of several nodes, or before opset 10
    "has no data input",       // of constants
    "batch x features, or",    // a value without a second dimension
};

// Why one is for no engine.
const char* const kNotMapped[] = {
    "a maximum of",      // hundreds of taps
    "the scratchpad of"  // whole images as a row
};

template <typename Message>
bool Load(const fs::path& file, Message& message) {
  std::ifstream stream(file, std::ios::binary);
  return stream && message.ParseFromIstream(&stream);
}

template <typename T, typename Repeated>
std::vector<T> ValuesOf(const onnx::TensorProto& proto, const Repeated& typed) {
  if (!proto.has_raw_data()) return {typed.begin(), typed.end()};
  std::vector<T> values(proto.raw_data().size() / sizeof(T));
  std::memcpy(values.data(), proto.raw_data().data(), values.size() * sizeof(T));
  return values;
}

std::vector<float> Floats(const onnx::TensorProto& proto) {
  return ValuesOf<float>(proto, proto.float_data());
}

std::vector<int64_t> Ints(const onnx::TensorProto& proto) {
  return ValuesOf<int64_t>(proto, proto.int64_data());
}

Array ArrayOf(const onnx::TensorProto& proto) {
  Array array;
  array.shape.assign(proto.dims().begin(), proto.dims().end());
  if (proto.data_type() == onnx::TensorProto::INT64) {
    const std::vector<int64_t> ints = Ints(proto);
    array.values.assign(ints.begin(), ints.end());
  } else {
    const std::vector<float> floats = Floats(proto);
    array.values.assign(floats.begin(), floats.end());
  }
  return array;
}

// A case: a model of which some inputs have an initialiser, and the others a value in inputs.
struct Case {
  onnx::ModelProto model;
  std::vector<onnx::TensorProto> inputs;
  onnx::TensorProto wanted;  // of the model's only output

  onnx::GraphProto* graph() { return model.mutable_graph(); }
  int64_t opset() const { return model.opset_import(0).version(); }
};

void SetShapeOf(onnx::ValueInfoProto* info, const std::vector<int64_t>& dims) {
  auto* shape = info->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->clear_dim();
  for (int64_t dim : dims) shape->add_dim()->set_dim_value(dim);
}

void SetDims(onnx::TensorProto& tensor, const std::vector<int64_t>& dims) {
  tensor.clear_dims();
  for (int64_t dim : dims) tensor.add_dims(dim);
}

std::vector<int64_t> DimsOf(const onnx::TensorProto& tensor) {
  return {tensor.dims().begin(), tensor.dims().end()};
}

// Inputs but one become initialisers, as one alone is data.
void KeepData(Case& c, size_t data) {
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (i != data) *c.graph()->add_initializer() = c.inputs[i];
  }
  c.inputs = {c.inputs[data]};
}

onnx::AttributeProto* AttributeOf(onnx::NodeProto& node, const std::string& name) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.name() == name) return &attribute;
  }
  onnx::AttributeProto* made = node.add_attribute();
  made->set_name(name);
  return made;
}

onnx::TensorProto* InputOf(Case& c, const std::string& name) {
  for (onnx::TensorProto& tensor : c.inputs) {
    if (tensor.name() == name) return &tensor;
  }
  return nullptr;
}

void SetInts(onnx::TensorProto& tensor, const std::vector<int64_t>& values) {
  tensor.clear_raw_data();
  tensor.clear_int64_data();
  tensor.set_data_type(onnx::TensorProto::INT64);
  for (int64_t value : values) tensor.add_int64_data(value);
  SetDims(tensor, {static_cast<int64_t>(values.size())});
}

// The whole case as a sample, in a batch of one: every axis moves by one. False where the operator
// of the case has its own batch.
bool Lift(Case& c) {
  if (c.graph()->node_size() != 1) return false;
  onnx::NodeProto& node = *c.graph()->mutable_node(0);
  const std::string& op = node.op_type();
  const int rank = c.inputs[0].dims_size();
  auto is = [&](std::initializer_list<const char*> names) {
    return std::find(names.begin(), names.end(), op) != names.end();
  };
  auto lift_axes = [&](int position) {
    if (position >= node.input_size()) return false;
    onnx::TensorProto* axes = InputOf(c, node.input(position));
    if (axes == nullptr) return false;
    std::vector<int64_t> lifted = Ints(*axes);
    for (int64_t& axis : lifted) axis += axis >= 0;
    SetInts(*axes, lifted);
    return true;
  };
  if (is({"Concat", "Split", "Gather", "Softmax", "LayerNormalization", "Flatten"})) {
    const bool from_end = is({"Softmax", "LayerNormalization"});
    bool given = false;
    for (const onnx::AttributeProto& a : node.attribute()) given = given || a.name() == "axis";
    onnx::AttributeProto* axis = AttributeOf(node, "axis");
    axis->set_type(onnx::AttributeProto::INT);
    if (!given) axis->set_i(from_end ? -1 : op == "Flatten" ? 1 : 0);
    if (axis->i() >= 0) axis->set_i(axis->i() + 1);
  } else if (op == "Slice") {
    if (c.opset() < 10) return false;
    if (!lift_axes(3)) {
      onnx::TensorProto axes;
      std::vector<int64_t> places(InputOf(c, node.input(1))->dims(0));
      for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i) + 1;
      SetInts(axes, places);
      axes.set_name("lifted/axes");
      c.inputs.push_back(axes);
      c.graph()->add_input()->set_name(axes.name());
      c.graph()
          ->mutable_input(c.graph()->input_size() - 1)
          ->mutable_type()
          ->mutable_tensor_type()
          ->set_elem_type(onnx::TensorProto::INT64);
      SetShapeOf(c.graph()->mutable_input(c.graph()->input_size() - 1), DimsOf(axes));
      while (node.input_size() < 4) node.add_input("");
      node.set_input(3, axes.name());
    }
  } else if (op == "Transpose") {
    onnx::AttributeProto* perm = AttributeOf(node, "perm");
    perm->set_type(onnx::AttributeProto::INTS);
    std::vector<int64_t> lifted = {0};
    for (int64_t axis : perm->ints()) lifted.push_back(axis + 1);
    for (int i = rank; lifted.size() <= static_cast<size_t>(rank); --i) lifted.push_back(i);
    perm->clear_ints();
    for (int64_t axis : lifted) perm->add_ints(axis);
  } else if (op == "Reshape") {
    onnx::TensorProto* shape = InputOf(c, node.input(1));
    if (shape == nullptr) return false;
    std::vector<int64_t> from = Ints(*shape), target = {1};
    // A 0 takes the dimension at its place, which has moved along.
    target.insert(target.end(), from.begin(), from.end());
    SetInts(*shape, target);
    for (onnx::ValueInfoProto& info : *c.graph()->mutable_input()) {
      if (info.name() == shape->name()) SetShapeOf(&info, DimsOf(*shape));
    }
  } else if (is({"Squeeze", "Unsqueeze"})) {
    if (!lift_axes(1)) return false;
  } else if (!is({"Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Identity",
                  "Dropout", "MatMul"})) {
    return false;
  }
  auto lift = [](onnx::TensorProto& tensor) {
    std::vector<int64_t> dims = DimsOf(tensor);
    dims.insert(dims.begin(), 1);
    SetDims(tensor, dims);
  };
  lift(c.inputs[0]);
  // Flatten makes two dimensions, whose first is then the batch.
  if (op != "Flatten") lift(c.wanted);
  SetShapeOf(c.graph()->mutable_input(0), DimsOf(c.inputs[0]));
  SetShapeOf(c.graph()->mutable_output(0), DimsOf(c.wanted));
  return true;
}

// Of a lifted case, all float inputs as data: pieces of one row. False with fewer than two.
bool Pack(Case& c) {
  OnnxBuilder b;
  b.model = c.model;
  std::vector<onnx::TensorProto> constants;
  std::vector<float> row;
  int pieces = 0;
  b.graph()->clear_input();
  b.graph()->clear_node();
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const onnx::TensorProto& input = c.inputs[i];
    if (input.data_type() != onnx::TensorProto::FLOAT) {
      constants.push_back(input);
      continue;
    }
    const std::vector<float> values = Floats(input);
    std::vector<int64_t> target = DimsOf(input);
    if (i == 0) target.erase(target.begin());  // lifted already
    // Dimensions are counted from the last; the batch is the first of all.
    const std::string& op = c.graph()->node(0).op_type();
    const size_t rank = DimsOf(c.inputs[0]).size() - 1;
    const bool stretches = op == "Add" || op == "Sub" || op == "Mul" || op == "Div";
    while (stretches && target.size() < rank) target.insert(target.begin(), 1);
    target.insert(target.begin(), 0);
    const std::string name = input.name();
    const auto start = static_cast<int64_t>(row.size());
    const auto end = start + static_cast<int64_t>(values.size());
    row.insert(row.end(), values.begin(), values.end());
    b.Ints(name + "/shape", target);
    if (c.opset() < 10) {
      b.Node("Slice", name + "/slice", {"row"}, name + "/piece").WithInts("starts", {start});
      b.WithInts("ends", {end}).WithInts("axes", {1});
    } else {
      b.Ints(name + "/from", {start}).Ints(name + "/to", {end}).Ints(name + "/axes", {-1});
      b.Node("Slice", name + "/slice", {"row", name + "/from", name + "/to", name + "/axes"},
             name + "/piece");
    }
    b.Node("Reshape", name + "/reshape", {name + "/piece", name + "/shape"}, name);
    ++pieces;
  }
  if (pieces < 2) return false;
  for (const onnx::NodeProto& node : c.model.graph().node()) *b.graph()->add_node() = node;
  for (const onnx::TensorProto& constant : constants) *b.graph()->add_initializer() = constant;
  b.Input("row", {1, static_cast<int64_t>(row.size())});
  c.model = b.model;
  onnx::TensorProto data;
  data.set_data_type(onnx::TensorProto::FLOAT);
  SetDims(data, {1, static_cast<int64_t>(row.size())});
  for (float value : row) data.add_float_data(value);
  c.inputs = {data};
  return true;
}

// A layer whose outputs are `count` channels of `input` from `first` on: [N,C], [N,C,W] or
// [N,C,H,W].
void AddSelection(OnnxBuilder& b, const std::string& input, const std::vector<int64_t>& dims,
                  int64_t first, int64_t count, const std::string& output) {
  const bool is_matrix = dims.size() == 2;
  std::vector<int64_t> shape = {count, dims[1]};
  if (is_matrix) std::swap(shape[0], shape[1]);
  while (shape.size() < dims.size()) shape.push_back(1);
  b.Zeros(output + "/select", shape);
  auto* weight = b.graph()->mutable_initializer(b.graph()->initializer_size() - 1);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = is_matrix ? (first + i) * count + i : i * dims[1] + first + i;
    weight->set_float_data(static_cast<int>(at), 1);
  }
  b.Node(is_matrix ? "MatMul" : "Conv", output + "/layer", {input, output + "/select"}, output);
}

// Of a plain or lifted case, its first or all of its float inputs behind a layer each that makes
// them of the channels of one. False where their samples or pixels are not as many.
bool Behind(Case& c, bool all_inputs, bool lifted) {
  std::vector<onnx::TensorProto> constants;
  std::vector<onnx::TensorProto> values;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    onnx::TensorProto input = c.inputs[i];
    const bool is_value = input.data_type() == onnx::TensorProto::FLOAT && (all_inputs || i == 0);
    if (!is_value) {
      constants.push_back(std::move(input));
      continue;
    }
    std::vector<int64_t> dims = DimsOf(input);
    if (lifted && i > 0) dims.insert(dims.begin(), 1);
    SetDims(input, dims);
    values.push_back(std::move(input));
  }
  if (values.empty()) return false;
  std::vector<int64_t> all = DimsOf(values[0]);
  if (all.size() < 2 || all.size() > 4) return false;
  all[1] = 0;
  for (const onnx::TensorProto& value : values) {
    std::vector<int64_t> dims = DimsOf(value);
    if (dims.size() != all.size()) return false;
    all[1] += dims[1];
    dims[1] = all[1];
    if (dims != all) return false;
  }
  OnnxBuilder b(static_cast<int>(c.opset()));
  b.model = c.model;
  b.graph()->clear_input();
  b.graph()->clear_node();
  onnx::TensorProto data;
  data.set_data_type(onnx::TensorProto::FLOAT);
  SetDims(data, all);
  for (int64_t n = 0; n < all[0]; ++n) {
    for (const onnx::TensorProto& value : values) {
      const std::vector<float> floats = Floats(value);
      const auto of_sample = static_cast<int64_t>(floats.size()) / all[0];
      for (int64_t i = 0; i < of_sample; ++i) data.add_float_data(floats[n * of_sample + i]);
    }
  }
  int64_t first = 0;
  for (const onnx::TensorProto& value : values) {
    AddSelection(b, "channels", all, first, value.dims(1), value.name());
    first += value.dims(1);
  }
  for (const onnx::NodeProto& node : c.model.graph().node()) *b.graph()->add_node() = node;
  for (const onnx::TensorProto& constant : constants) *b.graph()->add_initializer() = constant;
  b.Input("channels", all);
  c.model = b.model;
  c.inputs = {data};
  return true;
}

// The indices of a Gather as data, the values as its table.
bool Look(Case& c) {
  if (c.graph()->node_size() != 1 || c.graph()->node(0).op_type() != "Gather") return false;
  if (c.inputs.size() != 2) return false;
  std::vector<int64_t> dims = DimsOf(c.inputs[1]);
  dims.insert(dims.begin(), 1);
  SetDims(c.inputs[1], dims);
  SetShapeOf(c.graph()->mutable_input(1), dims);
  dims = DimsOf(c.wanted);
  dims.insert(dims.begin(), 1);
  SetDims(c.wanted, dims);
  SetShapeOf(c.graph()->mutable_output(0), dims);
  KeepData(c, 1);
  return true;
}

// The case with its batch second, and place-th in the output: behind a Transpose that puts it
// there, before one that puts it first again.
bool Second(Case& c, int64_t place) {
  const std::vector<int64_t> from = DimsOf(c.inputs[0]), to = DimsOf(c.wanted);
  if (from.size() < 2 || static_cast<int64_t>(to.size()) <= place) return false;
  auto swapped = [](size_t rank) {
    std::vector<int64_t> perm = {1, 0};
    while (perm.size() < rank) perm.push_back(static_cast<int64_t>(perm.size()));
    return perm;
  };
  std::vector<int64_t> back = {place};
  for (size_t i = 0; i < to.size(); ++i) {
    if (static_cast<int64_t>(i) != place) back.push_back(static_cast<int64_t>(i));
  }
  OnnxBuilder b;
  b.model = c.model;
  b.graph()->clear_node();
  const std::string x = c.inputs[0].name(), y = c.graph()->output(0).name();
  b.Node("Transpose", "second", {"turned"}, x).WithInts("perm", swapped(from.size()));
  for (const onnx::NodeProto& node : c.model.graph().node()) *b.graph()->add_node() = node;
  b.Node("Transpose", "first", {y}, "back").WithInts("perm", back);
  auto turn = [](onnx::TensorProto& tensor, const std::vector<int64_t>& perm) {
    const Array turned = DefineTranspose(ArrayOf(tensor), perm);
    tensor.clear_raw_data();
    tensor.clear_float_data();
    for (double value : turned.values) tensor.add_float_data(static_cast<float>(value));
    SetDims(tensor, turned.shape);
  };
  if (c.inputs[0].data_type() != onnx::TensorProto::FLOAT) return false;
  turn(c.inputs[0], swapped(from.size()));
  turn(c.wanted, back);
  for (onnx::ValueInfoProto& info : *b.graph()->mutable_input()) {
    if (info.name() != x) continue;
    SetShapeOf(&info, DimsOf(c.inputs[0]));
    info.set_name("turned");
  }
  SetShapeOf(b.graph()->mutable_output(0), DimsOf(c.wanted));
  b.graph()->mutable_output(0)->set_name("back");
  c.model = b.model;
  KeepData(c, 0);
  return true;
}

// The places among the features of an output that a network with logits shows: all, or up to
// `most`; the only one twice, as a network has two classes.
std::vector<int64_t> ShownPlaces(int64_t features, int64_t most) {
  const int64_t count = std::min(features, most);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) places.push_back((i + 1) * features / count - 1);
  if (count == 1) places.push_back(0);
  return places;
}

// The model with its output flattened and multiplied by columns of the identity, so that it ends as
// a network to train does; the logits are then what it computed in these places.
onnx::ModelProto WithLogits(const onnx::ModelProto& model, int64_t features,
                            const std::vector<int64_t>& places) {
  const auto classes = static_cast<int64_t>(places.size());
  OnnxBuilder b;
  b.model = model;
  const std::string output = model.graph().output(0).name();
  b.Counting("logits/w", {features, classes});
  auto* weight = b.graph()->mutable_initializer(b.graph()->initializer_size() - 1);
  for (float& value : *weight->mutable_float_data()) value = 0;
  for (int64_t i = 0; i < classes; ++i) {
    weight->set_float_data(static_cast<int>(places[i] * classes + i), 1);
  }
  b.Node("Flatten", "logits/flat", {output}, "logits/f");
  b.Node("MatMul", "logits/places", {"logits/f", "logits/w"}, "logits");
  b.graph()->mutable_output(0)->set_name("logits");
  b.graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  return b.model;
}

// How far a case got.
struct Outcome {
  bool reference = false, golden = false, rtl = false;  // went through it, too
  std::string difference;                               // empty if there is none
  std::string not_trained;                              // why the reference had it not
  std::string not_mapped;                               // why no engine had it
};

// slack: what sums that nearly cancel may be away in fp32.
template <typename Value>
std::string Difference(const std::vector<Value>& values, const std::vector<float>& wanted,
                       double slack = 1e-7) {
  if (values.size() != wanted.size()) return fmt::format("{} values", values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    // What ONNX allows its own backends.
    if (std::abs(values[i] - wanted[i]) <= slack + 1e-3 * std::abs(wanted[i])) continue;
    return fmt::format("value {} is {}, not {}", i, values[i], wanted[i]);
  }
  return "";
}

// The engines, on nano-fp32; golden also on one with room for more.
class Engines {
 public:
  Engines() { setenv("XDG_CACHE_HOME", VT_CACHE, 1); }

  // A step of training of a case; its logits have to be `shown`.
  void Run(const TrainingGraph& graph, const StepData& step, const std::vector<float>& shown,
           Outcome& outcome) {
    constexpr uint64_t kSmall = 2000;  // needed MACs
    Program program;
    bool fits = true;
    try {
      program = MapNetwork(small_.variant, small_.dram, graph, DefaultRecipe(), "case");
    } catch (const Error&) {
      fits = false;
      try {
        program = MapNetwork(large_.variant, large_.dram, graph, DefaultRecipe(), "case");
      } catch (const Error& error) {
        outcome.not_mapped = error.what();
        return;
      }
    }
    Device& golden = fits ? *small_.golden : *large_.golden;
    auto run = [&](Device& device) {
      device.Load(program.image);
      for (const ProgramSegment& s : BatchSegments(program, step)) device.Write(s.address, s.bytes);
      SetStep(device, DefaultRecipe(), 0, 0.01F);
      return device.Run(program.Stream("train"));
    };
    const RunReport report = run(golden);
    if (report.error != isa::ErrorCode::kNone) {
      outcome.difference = fmt::format("error {} in golden", static_cast<int>(report.error));
      return;
    }
    const WholeTensor logits = TensorOf(program, TensorRole::kLogits);
    outcome.difference = Difference(Gather(logits, golden), shown, 1e-6);
    outcome.golden = outcome.difference.empty();
    if (!outcome.golden || !fits || program.macs_needed > kSmall) return;
    if (rtl_ == nullptr) rtl_ = MakeRtlDevice(small_.variant, small_.dram, Resources(), {});
    const RunReport in_rtl = run(*rtl_);
    if (in_rtl.error != isa::ErrorCode::kNone) {
      outcome.difference = fmt::format("error {} in RTL", static_cast<int>(in_rtl.error));
      return;
    }
    cycles_ += static_cast<int64_t>(in_rtl.counters.cycles);
    const std::optional<Mismatch> mismatch = CompareTensors(program, *rtl_, golden);
    if (mismatch) outcome.difference = "RTL is not golden in " + mismatch->tensor;
    outcome.rtl = !mismatch;
  }

  int64_t cycles() const { return cycles_; }

 private:
  struct Machine {
    explicit Machine(const std::vector<std::string>& overrides)
        : variant(LoadVariant("nano-fp32", overrides, {Resources().variants})),
          dram(LoadVaultDram(variant, Resources())),
          golden(MakeGoldenDevice(variant, dram)) {}

    Variant variant;
    VaultDram dram;
    std::unique_ptr<Device> golden;
  };

  const Machine small_{{}}, large_{{"scratchpad.kib=1024"}};
  std::unique_ptr<Device> rtl_;  // of the small one
  int64_t cycles_ = 0;
};

// Throws Error for a case that is not for us.
Outcome RunCase(const Case& c, Engines& engines) {
  Outcome outcome;
  const onnx::TensorProto& x = c.inputs.at(0);
  const Graph graph = ParseOnnx(c.model.SerializeAsString(), "case");
  const std::vector<float> wanted = Floats(c.wanted);
  const Array data = ArrayOf(x);
  const Array defined = Define(graph, data);
  outcome.difference = Difference(defined.values, wanted);
  if (defined.shape != DimsOf(c.wanted)) outcome.difference = "shape " + ShapeText(defined.shape);
  if (!outcome.difference.empty()) return outcome;

  const int64_t batch = data.shape[0];
  const int64_t features = Elements(graph.tensors[graph.output].shape);
  StepData step{Floats(x), std::vector<uint8_t>(batch, 0), {}};
  // The engines see fewer places than the reference, as products of all of them take longest.
  for (const int64_t most : {256, 32}) {
    const std::vector<int64_t> places = ShownPlaces(features, most);
    const Graph with_logits =
        ParseOnnx(WithLogits(c.model, features, places).SerializeAsString(), "case");
    TrainingGraph training;
    try {
      training = Differentiate(with_logits, batch);
    } catch (const Error& error) {
      outcome.not_trained = error.what();
      return outcome;
    }
    std::vector<float> shown;
    for (int64_t i = 0; i < batch; ++i) {
      for (int64_t place : places) shown.push_back(wanted[i * features + place]);
    }
    if (most == 32) {
      engines.Run(training, step, shown, outcome);
      return outcome;
    }
    if (training.one_hot) {
      const size_t classes = training.features * batch / data.values.size();
      step.inputs.assign(data.values.size() * classes, 0.0f);
      for (size_t i = 0; i < data.values.size(); ++i) {
        const auto place = static_cast<int64_t>(data.values[i]);
        step.inputs[(i + (place < 0 ? 1 : 0)) * classes + place] = 1;
      }
    }
    Reference reference(training, StartingParameters(training, DefaultRecipe()));
    reference.Forward(step);
    outcome.difference = Difference(reference.tensor(training.logits), shown);
    outcome.reference = outcome.difference.empty();
    if (!outcome.reference) return outcome;
  }
  return outcome;
}

// What came of all ways to put a case.
struct Verdict {
  Outcome reached;  // by any
  int passed = 0;   // ways
  std::vector<std::string> differences;
  std::vector<std::string> refusals;
  std::vector<std::string> not_trained;
};

void Try(const Case& c, const std::string& way, Engines& engines, Verdict& verdict) {
  try {
    const Outcome outcome = RunCase(c, engines);
    if (!outcome.difference.empty()) {
      verdict.differences.push_back(way + ": " + outcome.difference);
      return;
    }
    ++verdict.passed;
    verdict.reached.reference = verdict.reached.reference || outcome.reference;
    verdict.reached.golden = verdict.reached.golden || outcome.golden;
    verdict.reached.rtl = verdict.reached.rtl || outcome.rtl;
    if (!outcome.not_trained.empty()) verdict.not_trained.push_back(outcome.not_trained);
    if (!outcome.not_mapped.empty()) verdict.reached.not_mapped = outcome.not_mapped;
  } catch (const Error& error) {
    verdict.refusals.push_back(std::string(error.what()).substr(std::strlen("case: ")));
  } catch (const std::domain_error& error) {
    verdict.refusals.push_back(error.what());
  }
}

Verdict RunFolder(const onnx::ModelProto& model, const fs::path& data, Engines& engines) {
  Verdict verdict;
  Case base;
  base.model = model;
  std::set<std::string> initialised;
  for (const onnx::TensorProto& tensor : model.graph().initializer()) {
    initialised.insert(tensor.name());
  }
  int number = 0;
  for (const onnx::ValueInfoProto& input : model.graph().input()) {
    if (initialised.count(input.name())) continue;
    onnx::TensorProto tensor;
    if (!Load(data / fmt::format("input_{}.pb", number++), tensor)) continue;
    tensor.set_name(input.name());
    base.inputs.push_back(tensor);
  }
  // What the operators of older files do is the same in the first opset that we read; attributes
  // that have gone since are refused.
  for (onnx::OperatorSetIdProto& opset : *base.model.mutable_opset_import()) {
    if (opset.domain().empty() && opset.version() < kMinOpset) opset.set_version(kMinOpset);
  }
  if (base.inputs.empty()) verdict.refusals.emplace_back("has no data input");
  for (const onnx::TensorProto& input : base.inputs) {
    for (int64_t dim : input.dims()) {
      if (dim == 0) verdict.refusals.emplace_back("has a dimension of 0");
    }
  }
  if (!verdict.refusals.empty()) return verdict;
  for (int output = 0; output < model.graph().output_size(); ++output) {
    Case one = base;
    const onnx::ValueInfoProto info = model.graph().output(output);
    one.graph()->clear_output();
    *one.graph()->add_output() = info;
    const bool loaded = Load(data / fmt::format("output_{}.pb", output), one.wanted);
    if (!loaded || one.wanted.data_type() != onnx::TensorProto::FLOAT) {
      verdict.refusals.push_back(
          fmt::format("output {} has element type other than FLOAT", output));
      continue;
    }
    const std::string name = fmt::format("output {}", output);
    Case plain = one;
    Case behind = plain;
    if (Behind(behind, false, false)) Try(behind, name + " behind a layer", engines, verdict);
    behind = plain;
    if (Behind(behind, true, false)) Try(behind, name + " all behind layers", engines, verdict);
    KeepData(plain, 0);
    Try(plain, name, engines, verdict);
    Case lifted = one;
    if (Lift(lifted)) {
      behind = lifted;
      if (Behind(behind, true, true))
        Try(behind, name + " lifted behind a layer", engines, verdict);
      Case packed = lifted;
      if (Pack(packed)) Try(packed, name + " packed", engines, verdict);
      KeepData(lifted, 0);
      Try(lifted, name + " lifted", engines, verdict);
    }
    Case looked = one;
    if (Look(looked)) Try(looked, name + " looked up", engines, verdict);
    for (int64_t place : {1, 2}) {
      Case second = one;
      if (Second(second, place)) Try(second, name + " second", engines, verdict);
    }
  }
  return verdict;
}

TEST(OnnxConformance, CasesOfOnnxGiveWhatItsAuthorsComputed) {
  if (!fs::exists(kCases)) GTEST_SKIP() << "the package libonnx-testdata is not installed";
  std::set<std::string> ours = {"Constant"};
  for (const Operator& op : Operators()) ours.insert(std::string(op.name));
  Engines engines;
  int passed = 0, through_reference = 0, on_golden = 0, on_rtl = 0, ways = 0, failed = 0;
  std::map<std::string, int> not_ours;
  std::map<std::string, int> passed_of;  // by operator, of cases of one node; and by family
  for (const char* family : {"node", "simple", "pytorch-converted", "pytorch-operator"}) {
    std::set<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(kCases / family)) folders.insert(entry.path());
    for (const fs::path& folder : folders) {
      onnx::ModelProto model;
      if (!Load(folder / "model.onnx", model)) continue;
      bool all_ours = true;
      for (const onnx::NodeProto& node : model.graph().node()) {
        all_ours = all_ours && ours.count(node.op_type());
      }
      if (!all_ours || model.graph().node_size() == 0) continue;
      const std::string name = std::string(family) + "/" + folder.filename().string();
      SCOPED_TRACE(name);
      const Verdict verdict = RunFolder(model, folder / "test_data_set_0", engines);
      EXPECT_TRUE(verdict.differences.empty()) << ::testing::PrintToString(verdict.differences);
      ways += verdict.passed;
      if (!verdict.differences.empty()) {
        ++failed;
      } else if (verdict.passed > 0) {
        ++passed;
        ++passed_of[std::string("the cases in ") + family];
        through_reference += verdict.reached.reference;
        on_golden += verdict.reached.golden;
        on_rtl += verdict.reached.rtl;
        const std::string& not_mapped = verdict.reached.not_mapped;
        if (verdict.reached.reference && !verdict.reached.golden) {
          EXPECT_TRUE(std::any_of(
              std::begin(kNotMapped), std::end(kNotMapped),
              [&](const char* why) { return not_mapped.find(why) != std::string::npos; }))
              << not_mapped;
          std::cout << "by the reference only: " << name << ": " << not_mapped << "\n";
        }
        for (const std::string& why : verdict.not_trained) {
          if (!verdict.reached.reference) {
            std::cout << "by definition only: " << name << ": " << why << "\n";
          }
        }
        if (model.graph().node_size() == 1) ++passed_of[model.graph().node(0).op_type()];
      } else {
        std::string found, because;
        for (const std::string& message : verdict.refusals) {
          for (const char* reason : kReasons) {
            if (!found.empty() || message.find(reason) == std::string::npos) continue;
            found = reason;
            because = message;
          }
        }
        if (found == "is the batch and mixes") EXPECT_NE(std::string(family), "node");
        EXPECT_NE(found, "") << ::testing::PrintToString(verdict.refusals);
        ++not_ours[found];
        std::cout << "not applicable " << name << ": " << because << "\n";
      }
    }
  }
  for (const auto& [op, count] : passed_of) std::cout << count << " passed of " << op << "\n";
  for (const auto& [reason, count] : not_ours) {
    std::cout << count << " not applicable: " << reason << "\n";
  }
  std::cout << passed << " passed in " << ways << " ways, " << through_reference
            << " through the reference too, " << on_golden << " on golden, " << on_rtl
            << " on the RTL in " << engines.cycles() << " cycles, " << failed << " failed\n";
  EXPECT_GE(passed, 225);
  EXPECT_GE(through_reference, 225);
  EXPECT_GE(on_golden, 222);
  EXPECT_GE(on_rtl, 137);
  EXPECT_EQ(failed, 0);
}

// Of GroupNormalization ONNX 1.12 has no cases: it is InstanceNormalization with as many groups as
// channels, and LayerNormalization with one.
TEST(OnnxConformance, GroupsLieBetweenChannelsAndSamples) {
  const std::vector<int64_t> dims = {3, 4, 5, 2};
  Array data = {dims, {}};
  Random random(1, "groups");
  for (int64_t i = 0; i < data.size(); ++i) data.values.push_back(random.Normal());
  auto defined = [&](int opset, const std::string& op, int64_t groups, int64_t parameters) {
    OnnxBuilder b(opset);
    b.Input("x", {0, 4, 5, 2});
    std::vector<int64_t> shape = {parameters};
    if (op == "LayerNormalization") shape = {4, 5, 2};
    b.Counting("s", shape).Counting("b", shape).Node(op, "norm", {"x", "s", "b"}, "y");
    for (onnx::TensorProto& t : *b.graph()->mutable_initializer()) {
      for (int i = 0; i < t.float_data_size() && parameters == 1; ++i) t.set_float_data(i, 3);
    }
    if (groups > 0) b.With("num_groups", groups);
    if (op == "LayerNormalization") b.With("axis", 1);
    b.Output("y", {0, 4, 5, 2});
    return Define(ParseOnnx(b.Bytes(), "case"), data).values;
  };
  auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-9) << "value " << i;
  };
  const std::string group = "GroupNormalization";
  near(defined(21, group, 4, 4), defined(21, "InstanceNormalization", 0, 4));
  near(defined(18, group, 4, 4), defined(21, "InstanceNormalization", 0, 4));
  near(defined(18, group, 1, 1), defined(21, "LayerNormalization", 0, 1));
  // Two groups of two channels: a parameter for each group, then for each channel.
  const std::vector<double> per_group = defined(18, group, 2, 2);
  const std::vector<double> per_channel = defined(21, group, 2, 4);
  for (int64_t n = 0; n < 3; ++n) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < 20; ++i) {
      const int64_t at = n * 40 + 20 + i;  // of the second group, with scale and bias 1
      mean += per_group[at] / 20;
      square += (per_group[at] - 1) * (per_group[at] - 1) / 20;
      const double channel = i < 10 ? 2 : 3;
      EXPECT_NEAR(per_channel[at], channel * (per_group[at] - 1) + channel, 1e-9);
    }
    EXPECT_NEAR(mean, 1, 1e-9);
    EXPECT_NEAR(square, 1, 1e-4);
  }
}

}  // namespace
}  // namespace vaultrain
