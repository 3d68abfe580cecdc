// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// ONNX models for tests, built node by node.

#ifndef VAULTRAIN_VERIF_UNIT_ONNX_BUILDER_H_
#define VAULTRAIN_VERIF_UNIT_ONNX_BUILDER_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "network/onnx_proto.h"
#include "vaultrain/random.h"

namespace vaultrain {

class OnnxBuilder {
 public:
  explicit OnnxBuilder(int opset = 17) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(opset);
  }

  onnx::GraphProto* graph() { return model.mutable_graph(); }

  // Dimension 0 is symbolic.
  OnnxBuilder& Input(const std::string& name, const std::vector<int64_t>& dims) {
    Declare(graph()->add_input(), name, dims);
    return *this;
  }
  OnnxBuilder& Output(const std::string& name, const std::vector<int64_t>& dims) {
    Declare(graph()->add_output(), name, dims);
    return *this;
  }
  // Values 0, 1, 2, ... in row-major order.
  OnnxBuilder& Counting(const std::string& name, const std::vector<int64_t>& dims) {
    onnx::TensorProto* tensor = Initialiser(name, dims, onnx::TensorProto::FLOAT);
    int64_t elements = 1;
    for (int64_t dim : dims) elements *= dim;
    for (int64_t i = 0; i < elements; ++i) tensor->add_float_data(static_cast<float>(i));
    return *this;
  }
  // Normal, with a deviation of 1 / sqrt(values behind an output).
  OnnxBuilder& Drawn(const std::string& name, const std::vector<int64_t>& dims, Random& random) {
    onnx::TensorProto* tensor = Initialiser(name, dims, onnx::TensorProto::FLOAT);
    int64_t elements = 1;
    for (int64_t dim : dims) elements *= dim;
    const double fan_in = dims.size() < 2 ? 1.0 : static_cast<double>(elements / dims[0]);
    for (int64_t i = 0; i < elements; ++i) {
      tensor->add_float_data(static_cast<float>(random.Normal() / std::sqrt(fan_in)));
    }
    return *this;
  }
  OnnxBuilder& Ints(const std::string& name, const std::vector<int64_t>& values) {
    onnx::TensorProto* tensor =
        Initialiser(name, {static_cast<int64_t>(values.size())}, onnx::TensorProto::INT64);
    for (int64_t value : values) tensor->add_int64_data(value);
    return *this;
  }
  OnnxBuilder& Floats(const std::string& name, const std::vector<float>& values) {
    onnx::TensorProto* tensor =
        Initialiser(name, {static_cast<int64_t>(values.size())}, onnx::TensorProto::FLOAT);
    for (float value : values) tensor->add_float_data(value);
    return *this;
  }
  // One value without dimension.
  OnnxBuilder& Scalar(const std::string& name, float value) {
    Initialiser(name, {}, onnx::TensorProto::FLOAT)->add_float_data(value);
    return *this;
  }
  OnnxBuilder& IntScalar(const std::string& name, int64_t value) {
    Initialiser(name, {}, onnx::TensorProto::INT64)->add_int64_data(value);
    return *this;
  }
  OnnxBuilder& BoolScalar(const std::string& name, bool value) {
    Initialiser(name, {}, onnx::TensorProto::BOOL)->add_int32_data(value);
    return *this;
  }
  OnnxBuilder& Zeros(const std::string& name, const std::vector<int64_t>& dims) {
    Counting(name, dims);
    for (float& value :
         *graph()->mutable_initializer(graph()->initializer_size() - 1)->mutable_float_data()) {
      value = 0;
    }
    return *this;
  }
  OnnxBuilder& Node(const std::string& op, const std::string& name,
                    const std::vector<std::string>& inputs, const std::string& output,
                    const std::vector<std::pair<std::string, int64_t>>& attributes = {}) {
    onnx::NodeProto* node = graph()->add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(output);
    for (const auto& [key, value] : attributes) {
      With(key, value);
    }
    return *this;
  }
  // Another output of the node added last; empty for one that is left out.
  OnnxBuilder& AlsoGives(const std::string& output) {
    graph()->mutable_node(graph()->node_size() - 1)->add_output(output);
    return *this;
  }
  // Attributes of the node added last.
  OnnxBuilder& WithInts(const std::string& key, const std::vector<int64_t>& values) {
    onnx::AttributeProto* attribute = Attribute(key, onnx::AttributeProto::INTS);
    for (int64_t value : values) attribute->add_ints(value);
    return *this;
  }
  OnnxBuilder& With(const std::string& key, int64_t value) {
    Attribute(key, onnx::AttributeProto::INT)->set_i(value);
    return *this;
  }
  OnnxBuilder& WithFloat(const std::string& key, float value) {
    Attribute(key, onnx::AttributeProto::FLOAT)->set_f(value);
    return *this;
  }
  OnnxBuilder& WithTexts(const std::string& key, const std::vector<std::string>& texts) {
    onnx::AttributeProto* attribute = Attribute(key, onnx::AttributeProto::STRINGS);
    for (const std::string& text : texts) attribute->add_strings(text);
    return *this;
  }
  OnnxBuilder& WithText(const std::string& key, const std::string& text) {
    Attribute(key, onnx::AttributeProto::STRING)->set_s(text);
    return *this;
  }
  std::string Bytes() const { return model.SerializeAsString(); }

  onnx::ModelProto model;

 private:
  onnx::AttributeProto* Attribute(const std::string& key,
                                  onnx::AttributeProto::AttributeType type) {
    onnx::AttributeProto* attribute =
        graph()->mutable_node(graph()->node_size() - 1)->add_attribute();
    attribute->set_name(key);
    attribute->set_type(type);
    return attribute;
  }
  onnx::TensorProto* Initialiser(const std::string& name, const std::vector<int64_t>& dims,
                                 int type) {
    onnx::TensorProto* tensor = graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (int64_t dim : dims) tensor->add_dims(dim);
    return tensor;
  }
  static void Declare(onnx::ValueInfoProto* info, const std::string& name,
                      const std::vector<int64_t>& dims) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape();
    for (int64_t dim : dims) {
      auto* made = type->mutable_shape()->add_dim();
      if (dim == 0) {
        made->set_dim_param("N");
      } else {
        made->set_dim_value(dim);
      }
    }
  }
};

// Tokens [N,5] of 11 -> embedding of 4 -> LSTM of 3 with time first, as PyTorch writes it -> the
// last output of each sample -> Gemm -> y [N,2].
inline OnnxBuilder Tokens() {
  OnnxBuilder b;
  b.Input("tokens", {0, 5});
  b.graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  b.Counting("table", {11, 4}).Node("Gather", "embed", {"table", "tokens"}, "e");
  b.Node("Transpose", "time_first", {"e"}, "t").WithInts("perm", {1, 0, 2});
  b.Counting("w", {1, 12, 4}).Counting("r", {1, 12, 3}).Counting("b", {1, 24});
  b.Zeros("h0", {1, 7, 3}).Zeros("c0", {1, 7, 3});
  b.Node("LSTM", "lstm", {"t", "w", "r", "b", "", "h0", "c0"}, "Y", {{"hidden_size", 3}});
  b.AlsoGives("Y_h").AlsoGives("Y_c");
  b.Ints("one", {1}).Node("Squeeze", "squeeze", {"Y", "one"}, "s");
  b.Node("Transpose", "batch_first", {"s"}, "f").WithInts("perm", {1, 0, 2});
  b.IntScalar("last", -1).Node("Gather", "last", {"f", "last"}, "l", {{"axis", 1}});
  b.Counting("v", {3, 2}).Node("Gemm", "fc", {"l", "v"}, "y").Output("y", {0, 2});
  return b;
}

// x [N,6] -> Gemm (transB = 1) -> Relu -> MatMul -> Add -> Softmax -> p [N,3], all with values.
inline OnnxBuilder TwoLayers() {
  OnnxBuilder b;
  b.Input("x", {0, 6}).Counting("w1", {4, 6}).Counting("b1", {4}).Counting("w2", {4, 3});
  b.Counting("b2", {1, 3});
  b.Node("Gemm", "first", {"x", "w1", "b1"}, "z1", {{"transB", 1}});
  b.Node("Relu", "relu", {"z1"}, "y1").Node("MatMul", "second", {"y1", "w2"}, "z2");
  b.Node("Add", "bias", {"b2", "z2"}, "logits").Node("Softmax", "softmax", {"logits"}, "p");
  b.Output("p", {0, 3});
  return b;
}

// Images of 2x3 through Flatten, Identity, Reshape to 3-D and back; batch fixed to 5 in the file.
inline OnnxBuilder Reshaped() {
  OnnxBuilder b;
  b.Input("x", {5, 2, 3}).Ints("to3", {0, 2, -1}).Ints("to2", {5, 6}).Counting("w", {6, 2});
  b.Node("Flatten", "flat", {"x"}, "f").Node("Identity", "same", {"f"}, "i");
  b.Node("Reshape", "up", {"i", "to3"}, "u").Node("Reshape", "down", {"u", "to2"}, "d");
  b.Node("Gemm", "fc", {"d", "w"}, "y").Output("y", {5, 2});
  return b;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_ONNX_BUILDER_H_
