// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The typed graph of a network as read from ONNX.
//
// The graph is general: nodes in topological order over tensors with static shapes, apart from the
// batch dimension. Which operators it may hold stands in one table (Operators); what can be trained
// is decided later, by Differentiate (training_graph.h).
//
// The batch is the first dimension of every tensor of data, also where the file has it elsewhere
// (Tensor::batch_axis): time first around recurrent nodes becomes batch first, and the Transposes
// that do no more than that are Identities here. Axes in attributes are those of the graph's shapes
// and never negative.
//
// What opsets write in different ways is one form here, with constant inputs as attributes:
//
//   node                         inputs               attributes that the reader fills in
//   Concat, Softmax              as in the file       axis
//   Slice                        data                 axes, starts, ends (behind the last; -1 where
//                                                     a step back takes element 0 too), steps
//   Split                        data                 axis, split (the size of each output)
//   Transpose                    data                 perm, perm[0] = 0
//   Squeeze, Unsqueeze           data                 axes, in rising order (of the output of
//                                                     Unsqueeze)
//   Reshape                      as in the file       the shape of the output tells all
//   Gather                       table [V][..], data  axis 0; the data are indices, kInt64, -V to
//                                                     V - 1, of rows of a parameter
//                                data, constant       axis 1 or more; places inside each sample (a
//                                                     scalar is a Slice and a Squeeze instead)
//   Dropout                      data                 ratio, seed, training_mode (0 before opset
//                                                     12)
//   BatchNormalization           x, scale, B,         training_mode (before opset 14: whether the
//                                mean, variance       node has more than one output)
//   GroupNormalization           x, scale, bias       both [C], or [num_groups] before opset 21
//   LayerNormalization           x, scale, maybe B    axis: the first that is normalised; scale and
//                                                     B have the dimensions from there
//   RNN, LSTM, GRU               X [N,T,I],           layout 1, hidden_size H, direction forward,
//                                W [1,gH,I],          activations; gates in ONNX's order. Y is
//                                R [1,gH,H],          [N,T,1,H], Y_h and Y_c are [N,1,H]. Initial
//                                maybe B [1,2gH]      states are zero; no lengths, no peepholes
//
// Conventions on the ONNX file:
//  - One graph input is the data: the only one without an initialiser or, where several have none,
//    the only one whose first dimension is symbolic. Its first dimension is the batch, whatever
//    number the file gives it. It is FLOAT, or INT64 or INT32 where it holds the indices of Gather.
//  - Parameters are initialisers (then starting weights), or graph inputs of static shape without
//    one (then the recipe's initialisation gives the starting weights).
//  - One graph output.

#ifndef VAULTRAIN_GRAPH_H_
#define VAULTRAIN_GRAPH_H_

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "vaultrain/error.h"

namespace vaultrain {

// The batch dimension in a shape; only ever the first of data tensors.
inline constexpr int64_t kBatchDim = -1;

// Elements that one parameter, or one sample of one activation, may have at most.
inline constexpr int64_t kMaxElements = int64_t{1} << 28;

// kInt64 is also what the file has as INT32; kBool occurs in constants only.
enum class ElementType { kFloat, kInt64, kBool };

struct Tensor {
  std::string name;  // as in the file
  ElementType type = ElementType::kFloat;
  std::vector<int64_t> shape;
  bool is_parameter = false;   // initialiser, constant, or graph input other than the data
  std::vector<float> values;   // kFloat: initialiser in row-major order, or empty
  std::vector<int64_t> ints;   // kInt64, kBool: the same
  int producer = -1;           // node, or -1
  std::vector<int> consumers;  // nodes, one entry per use
  int64_t batch_axis = 0;      // data: where the file has the batch, which is first in shape

  bool is_data() const { return !shape.empty() && shape[0] == kBatchDim; }
};

enum class OperatorKind {
  kGemm,
  kMatMul,
  kConv,
  kMaxPool,
  kAveragePool,
  kGlobalMaxPool,
  kGlobalAveragePool,
  kAdd,
  kMul,
  kRelu,
  kLeakyRelu,
  kSigmoid,
  kTanh,
  kIdentity,
  kFlatten,
  kReshape,
  kSoftmax,
  kSub,
  kDiv,
  kConcat,
  kSlice,
  kSplit,
  kTranspose,
  kSqueeze,
  kUnsqueeze,
  kGather,
  kDropout,
  kBatchNormalization,
  kInstanceNormalization,
  kGroupNormalization,
  kLayerNormalization,
  kRnn,
  kLstm,
  kGru
};

using Attribute =
    std::variant<int64_t, float, std::vector<int64_t>, std::string, std::vector<std::string>>;

struct Node {
  std::string name;  // as in the file, or OPERATOR_INDEX
  OperatorKind kind = OperatorKind::kIdentity;
  std::vector<int> inputs;  // tensors; -1 for an optional one left out
  // Tensors; -1 for one that is left out or that nothing uses. RNN and GRU have 2, LSTM has 3,
  // Split as many as the file; all others have one.
  std::vector<int> outputs;
  std::map<std::string, Attribute> attributes;  // every attribute of the operator, with defaults

  int64_t Int(const std::string& attribute) const {
    return std::get<int64_t>(attributes.at(attribute));
  }
  float Float(const std::string& attribute) const {
    return std::get<float>(attributes.at(attribute));
  }
  const std::vector<int64_t>& Ints(const std::string& attribute) const {
    return std::get<std::vector<int64_t>>(attributes.at(attribute));
  }
  const std::string& Text(const std::string& attribute) const {
    return std::get<std::string>(attributes.at(attribute));
  }
};

struct Graph {
  std::string file;  // for messages
  std::vector<Tensor> tensors;
  std::vector<Node> nodes;  // topological order
  int input = -1;           // tensor
  int output = -1;          // tensor
  int64_t file_batch = 0;   // batch that the file names; 0 if symbolic
  int64_t opset = 0;        // of the file
};

// ---- the operator table

// The opsets of the default ONNX domain that are read.
inline constexpr int kMinOpset = 7;
inline constexpr int kMaxOpset = 21;

struct AttributeRule {
  std::string_view name;
  Attribute default_value;  // an empty list stands for the operator's own default
  double min = 0, max = 0;  // accepted numbers, inclusive; of a list, each
  std::vector<std::string_view> choices = {};  // accepted strings; of a list, each
  int since = kMinOpset, until = kMaxOpset;    // opsets; one name may have a rule before and after
  bool required = false;
};

struct Operator {
  std::string_view name;  // in ONNX, default domain
  OperatorKind kind;
  int min_inputs, max_inputs;
  std::vector<AttributeRule> attributes;
  // Sets the shape of the outputs from the inputs and brings the node into the form above; throws
  // Error naming the node if they do not fit.
  void (*infer)(Graph& graph, Node& node);
  int max_outputs = 1;    // that may be used
  int since = kMinOpset;  // opset
};

const std::vector<Operator>& Operators();
const Operator& OperatorOf(OperatorKind kind);

// "FILE: node 'fc1' (Gemm)", the head of every message about a node.
std::string NodeText(const Graph& graph, const Node& node);

// Throws Error(kUnusableInput) with that head.
template <typename... Args>
[[noreturn]] void RefuseNode(const Graph& graph, const Node& node,
                             fmt::format_string<Args...> format, Args&&... args) {
  RefuseInput("{}: {}", NodeText(graph, node), fmt::format(format, std::forward<Args>(args)...));
}

// ---- reading

// Throws Error(kUnusableInput) with one line that names the file, the node or tensor, the rule and
// what is accepted.
Graph ReadOnnx(const std::filesystem::path& path);

// The same from bytes; file is for messages.
Graph ParseOnnx(std::string_view bytes, const std::string& file);

// "[N,784]".
std::string ShapeText(const std::vector<int64_t>& shape);
// Product of all dimensions but the batch.
int64_t Elements(const std::vector<int64_t>& shape);

}  // namespace vaultrain

#endif  // VAULTRAIN_GRAPH_H_
