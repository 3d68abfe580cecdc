// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The test cases of ONNX itself (Debian's libonnx-testdata) for the operators of our table: those
// that can be trained through the reference's feed-forward, the others by onnx_definition.h. A case
// that we refuse must be refused for a reason that stands here.

#include <gmock/gmock.h>
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
#include "vaultrain/error.h"
#include "vaultrain/recipe.h"
#include "vaultrain/reference.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

const fs::path kCases = "/usr/share/libonnx-testdata/data";

// Why a case is not for us: the operators do more in ONNX than in a training step.
const char* const kReasons[] = {
    "has element type",        // other than float
    "outputs; accepted: one",  // indices of maxima
    "images [N,C,H,W]",        // three dimensions and more of an image
    "attribute",               // older than opset 7
    "transA = 1",              //
    "alpha = ",                // of Gemm
    "beta = ",                 //
    "must both have two",      // products of stacks of matrices
    "batch x classes along",   // softmax along other axes
    "mixes samples",           // Flatten
    "cannot reshape",          // where the batch does not stay
    "does not broadcast",      // along the batch
    "has no data input",       // a graph of constants
    "batch x features, or",    // values without a second dimension
    "has no tensor shape",     // sequences and optional values
};

template <typename Message>
bool Load(const fs::path& file, Message& message) {
  std::ifstream stream(file, std::ios::binary);
  return stream && message.ParseFromIstream(&stream);
}

std::vector<float> Floats(const onnx::TensorProto& proto) {
  if (!proto.has_raw_data()) return {proto.float_data().begin(), proto.float_data().end()};
  std::vector<float> values(proto.raw_data().size() / sizeof(float));
  std::memcpy(values.data(), proto.raw_data().data(), values.size() * sizeof(float));
  return values;
}

// Inputs but the first become initialisers, as the first alone is data. Returns the batch.
int64_t MakeData(onnx::ModelProto& model, const fs::path& data, onnx::TensorProto& x) {
  onnx::GraphProto& graph = *model.mutable_graph();
  std::set<std::string> initialised;
  for (const onnx::TensorProto& tensor : graph.initializer()) initialised.insert(tensor.name());
  int number = 0;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (initialised.count(input.name())) continue;
    onnx::TensorProto tensor;
    const bool found = Load(data / fmt::format("input_{}.pb", number++), tensor);
    if (!found) continue;
    if (number == 1) {
      x = tensor;
    } else {
      tensor.set_name(input.name());
      *graph.add_initializer() = tensor;
    }
  }
  // What the operators of older files do is the same in the first opset that we read; attributes
  // that have gone since are refused.
  for (onnx::OperatorSetIdProto& opset : *model.mutable_opset_import()) {
    if (opset.domain().empty() && opset.version() < kMinOpset) opset.set_version(kMinOpset);
  }
  return x.dims_size() > 0 ? x.dims(0) : 1;
}

// The places among the features of an output that a network with logits shows: all, or up to 256.
std::vector<int64_t> ShownPlaces(int64_t features) {
  const int64_t count = std::min<int64_t>(features, 256);
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) places.push_back((i + 1) * features / count - 1);
  return places;
}

// The model with its output flattened and multiplied by columns of the identity, so that it ends as
// a network to train does; the logits are then what it computed in these places.
onnx::ModelProto WithLogits(const onnx::ModelProto& model, int64_t features) {
  const std::vector<int64_t> places = ShownPlaces(features);
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

enum class Engine { kReference, kDefinition };

struct Outcome {
  Engine engine = Engine::kDefinition;
  std::string difference;  // empty if there is none
};

std::string Difference(const std::vector<double>& values, const std::vector<float>& wanted) {
  if (values.size() != wanted.size()) return fmt::format("{} values", values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    // What ONNX allows its own backends.
    if (std::abs(values[i] - wanted[i]) <= 1e-7 + 1e-3 * std::abs(wanted[i])) continue;
    return fmt::format("value {} is {}, not {}", i, values[i], wanted[i]);
  }
  return "";
}

// Throws Error for a case that is not for us.
Outcome RunCase(onnx::ModelProto model, const fs::path& data) {
  Outcome outcome;
  onnx::TensorProto x, wanted_proto;
  const int64_t batch = MakeData(model, data, x);
  const Graph graph = ParseOnnx(model.SerializeAsString(), "case");
  if (!Load(data / "output_0.pb", wanted_proto)) {
    outcome.difference = "no output_0.pb";
    return outcome;
  }
  const std::vector<float> wanted = Floats(wanted_proto);
  const std::vector<float> inputs = Floats(x);
  const Array defined =
      Define(graph, {{x.dims().begin(), x.dims().end()}, {inputs.begin(), inputs.end()}});
  outcome.difference = Difference(defined.values, wanted);
  if (!std::equal(defined.shape.begin(), defined.shape.end(), wanted_proto.dims().begin(),
                  wanted_proto.dims().end())) {
    outcome.difference = "shape " + ShapeText(defined.shape);
  }
  if (!outcome.difference.empty()) return outcome;

  const int64_t features = Elements(graph.tensors[graph.output].shape);
  const Graph with_logits = ParseOnnx(WithLogits(model, features).SerializeAsString(), "case");
  TrainingGraph training;
  try {
    training = Differentiate(with_logits, batch);
  } catch (const Error&) {
    return outcome;
  }
  Reference reference(training, StartingParameters(training, DefaultRecipe()));
  reference.Forward(inputs, std::vector<uint8_t>(batch, 0));
  std::vector<float> shown;
  for (int64_t i = 0; i < batch; ++i) {
    for (int64_t place : ShownPlaces(features)) shown.push_back(wanted[i * features + place]);
  }
  outcome.engine = Engine::kReference;
  outcome.difference = Difference(reference.tensor(training.logits), shown);
  return outcome;
}

TEST(OnnxConformance, CasesOfOnnxGiveWhatItsAuthorsComputed) {
  if (!fs::exists(kCases)) GTEST_SKIP() << "the package libonnx-testdata is not installed";
  std::set<std::string> ours = {"Constant"};
  for (const Operator& op : Operators()) ours.insert(std::string(op.name));
  int passed[2] = {0, 0}, failed = 0;
  std::map<std::string, int> not_ours;
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
      try {
        const Outcome outcome = RunCase(model, folder / "test_data_set_0");
        EXPECT_EQ(outcome.difference, "");
        if (outcome.difference.empty()) ++passed[static_cast<int>(outcome.engine)];
        if (!outcome.difference.empty()) ++failed;
        if (outcome.engine == Engine::kDefinition) std::cout << "by definition  " << name << "\n";
      } catch (const Error& error) {
        const std::string message = std::string(error.what()).substr(std::strlen("case: "));
        std::string found;
        for (const char* reason : kReasons) {
          if (found.empty() && message.find(reason) != std::string::npos) found = reason;
        }
        EXPECT_NE(found, "") << message;
        ++not_ours[found];
        std::cout << "not applicable " << name << ": " << message << "\n";
      }
    }
  }
  std::cout << passed[0] << " passed in the reference, " << passed[1] << " by definition, "
            << failed << " failed\n";
  EXPECT_GE(passed[0], 60);
  EXPECT_EQ(failed, 0);
  for (const auto& [reason, count] : not_ours) {
    std::cout << count << " not applicable: " << reason << "\n";
  }
}

}  // namespace
}  // namespace vaultrain
