// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The ONNX protobuf messages, with the defines that Debian's libonnx was built with.

#ifndef VAULTRAIN_NETWORK_ONNX_PROTO_H_
#define VAULTRAIN_NETWORK_ONNX_PROTO_H_

#ifndef ONNX_NAMESPACE
#define ONNX_NAMESPACE onnx
#endif
#ifndef ONNX_ML
#define ONNX_ML 1
#endif

#include <onnx/onnx_pb.h>

#endif  // VAULTRAIN_NETWORK_ONNX_PROTO_H_
