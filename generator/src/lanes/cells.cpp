// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Lane programs of recurrent cells.

#include "vaultrain/lane_library.h"

namespace vaultrain::lanes {

Program LstmForward(int sum_slots, int kept_at, int kept_slots, bool first) {
  constexpr int kI = 0, kO = 1, kF = 2, kG = 3, kC = 4, kBefore = 5;
  constexpr int kGates[] = {kI, kO, kF, kG};
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  if (first) program.init.Constant(kBefore, 0);
  Section& body = program.body;
  for (int gate : kGates) {
    const int scale = gate == kG ? constants.tanh_scale : constants.sigmoid_scale;
    body.MulWide(gate, scale, 0, gate * sum_slots);
    gate == kG ? EmitTanh(body, gate, constants) : EmitSigmoid(body, gate, constants);
  }
  if (!first) body.LoadWide(kBefore, 1);
  body.Mul(kC, kI, kG);
  if (!first) body.Mad(kC, kBefore, kF, kC);
  body.StoreWide(kC, 1);
  for (int gate : kGates) body.StoreOperand(gate, 2, kept_at + gate * kept_slots);
  body.Mul(kC, kC, constants.tanh_scale);
  EmitTanh(body, kC, constants);
  body.StoreOperand(kC, 2, kept_at + 4 * kept_slots);
  body.StoreOperand(kBefore, 2, kept_at + 5 * kept_slots);
  body.Mul(kO, kO, kC).StoreOperand(kO, 2);
  return program;
}

Program LstmBackward(int kept_slots, int dh_slots, int gate_slots, bool first) {
  constexpr int kI = 0, kO = 1, kF = 2, kG = 3, kTanhC = 4, kBefore = 5;
  constexpr int kDh = 6, kDc = 8, kD = 9, kSlope = 10, kOne = 14;
  Program program;
  program.init.Constant(kOne, 1);
  Section& body = program.body;
  for (int kept : {kI, kO, kF, kG, kTanhC, kBefore}) body.LoadOperand(kept, 0, kept * kept_slots);
  body.LoadOperand(kDh, 2);
  if (!first) body.AddWide(kDh, kDh, 1, dh_slots);
  auto of_sigmoid = [&](int gate) {
    body.Mad(kSlope, gate, gate, gate, true).Mul(kD, kD, kSlope);
    body.StoreOperand(kD, 3, gate * gate_slots);
  };
  body.Mul(kD, kDh, kTanhC);
  of_sigmoid(kO);
  body.Mul(kD, kDh, kO).Mad(kSlope, kTanhC, kTanhC, kOne, true);
  first ? body.Mul(kDc, kD, kSlope) : body.Mad(kDc, kD, kSlope, kDc).TakeWide(Taken::kC, 1);
  body.Mul(kD, kDc, kG);
  of_sigmoid(kI);
  body.Mul(kD, kDc, kBefore);
  of_sigmoid(kF);
  body.Mul(kD, kDc, kI).Mad(kSlope, kG, kG, kOne, true).Mul(kD, kD, kSlope);
  body.StoreOperand(kD, 3, kG * gate_slots);
  body.Mul(kDc, kDc, kF).StoreWide(kDc, 1);
  return program;
}

Program GruForward(int sum_slots, int kept_at, int kept_slots, bool bias, bool first) {
  constexpr int kZ = 0, kR = 1, kN = 2, kQ = 3, kBefore = 4, kH = 5;
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  if (first) program.init.Constant(kBefore, 0).Constant(kQ, 0);
  Section& body = program.body;
  for (int gate : {kZ, kR}) {
    const int at = gate * sum_slots;
    bias ? body.LoadWide(gate, 0, at) : body.MulWide(gate, constants.sigmoid_scale, 0, at);
  }
  body.LoadWide(kN, 0, kN * sum_slots);
  if (!first) body.LoadWide(kQ, 0, kQ * sum_slots).LoadWide(kBefore, 1);
  if (bias) {
    for (int gate : {kZ, kR}) body.AddWide(gate, gate, 3, gate * sum_slots);
    const int of_q = 2 * sum_slots;
    first ? body.LoadWide(kQ, 3, of_q) : body.AddWide(kQ, kQ, 3, of_q);
  }
  for (int gate : {kZ, kR}) {
    if (bias) body.Mul(gate, gate, constants.sigmoid_scale);
    EmitSigmoid(body, gate, constants);
  }
  body.Mad(kN, kR, kQ, kN).Mul(kN, kN, constants.tanh_scale);
  EmitTanh(body, kN, constants);
  body.Sub(kH, kBefore, kN).Mad(kH, kZ, kH, kN).StoreWide(kH, 1).StoreOperand(kH, 2);
  for (int kept : {kZ, kR, kN, kQ, kBefore}) {
    body.StoreOperand(kept, 2, kept_at + kept * kept_slots);
  }
  return program;
}

Program GruBackward(int kept_slots, int dh_slots, int gate_slots, int n_at, bool first) {
  constexpr int kZ = 0, kR = 1, kN = 2, kQ = 3, kBefore = 4;
  constexpr int kDh = 5, kRest = 6, kD = 7, kSlope = 8, kOne = 14;
  Program program;
  program.init.Constant(kOne, 1);
  Section& body = program.body;
  body.LoadOperand(kDh, 2);
  for (int kept : {kZ, kR, kN, kQ, kBefore}) body.LoadOperand(kept, 0, kept * kept_slots);
  if (!first) body.AddWide(kDh, kDh, 1).AddWide(kDh, kDh, 1, dh_slots);
  auto of_sigmoid = [&](int gate) {
    body.Mad(kSlope, gate, gate, gate, true).Mul(kD, kD, kSlope);
    body.StoreOperand(kD, 3, gate * gate_slots);
  };
  body.Sub(kD, kBefore, kN).Mul(kD, kD, kDh);
  of_sigmoid(kZ);
  body.Mul(kRest, kDh, kZ).StoreWide(kRest, 1);
  body.Sub(kD, kDh, kRest).Mad(kSlope, kN, kN, kOne, true).Mul(kDh, kD, kSlope);
  body.StoreOperand(kDh, 3, n_at).Mul(kD, kDh, kR).StoreOperand(kD, 3, 2 * gate_slots);
  body.Mul(kD, kDh, kQ);
  of_sigmoid(kR);
  return program;
}

Program ResetGruGates(int sum_slots, int kept_at, int kept_slots) {
  constexpr int kR = 1;
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  program.body.MulWide(kR, constants.sigmoid_scale, 0, kR * sum_slots);
  EmitSigmoid(program.body, kR, constants);
  program.body.StoreOperand(kR, 2, kept_at + kR * kept_slots);
  program.body.MulWide(kR, kR, 1).StoreOperand(kR, 3);
  return program;
}

Program ResetGruForward(int sum_slots, int kept_at, int kept_slots, bool first) {
  constexpr int kZ = 0, kR = 1, kN = 2, kBefore = 3, kH = 4;
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  if (first) program.init.Constant(kBefore, 0).Constant(kR, 0);
  Section& body = program.body;
  body.MulWide(kZ, constants.sigmoid_scale, 0, kZ * sum_slots);
  EmitSigmoid(body, kZ, constants);
  body.MulWide(kN, constants.tanh_scale, 0, kN * sum_slots);
  EmitTanh(body, kN, constants);
  if (!first) body.LoadWide(kBefore, 1);
  body.Sub(kH, kBefore, kN).Mad(kH, kZ, kH, kN).StoreWide(kH, 1).StoreOperand(kH, 2);
  for (int kept : {kZ, kR, kN, kBefore}) {
    if (kept != kR || first) body.StoreOperand(kept, 2, kept_at + kept * kept_slots);
  }
  return program;
}

Program ResetGruBackward(int kept_slots, int dh_slots, int gate_slots, bool first) {
  constexpr int kZ = 0, kR = 1, kN = 2, kBefore = 3;
  constexpr int kDh = 5, kRest = 6, kD = 7, kSlope = 8, kZero = 13, kOne = 14;
  Program program;
  program.init.Constant(kOne, 1).Constant(kZero, 0);
  Section& body = program.body;
  body.LoadOperand(kDh, 2);
  for (int kept : {kZ, kN, kBefore}) body.LoadOperand(kept, 0, kept * kept_slots);
  if (!first) body.AddWide(kDh, kDh, 1).AddWide(kDh, kDh, 1, dh_slots);
  body.Sub(kD, kBefore, kN).Mul(kD, kD, kDh).Mad(kSlope, kZ, kZ, kZ, true).Mul(kD, kD, kSlope);
  body.StoreOperand(kD, 3).StoreOperand(kZero, 3, kR * gate_slots);
  body.Mul(kRest, kDh, kZ).StoreWide(kRest, 1);
  body.Sub(kD, kDh, kRest).Mad(kSlope, kN, kN, kOne, true).Mul(kD, kD, kSlope);
  body.StoreOperand(kD, 3, kN * gate_slots);
  return program;
}

Program ResetGruGatesBackward(int kept_slots, int dh_slots, int gate_slots) {
  constexpr int kR = 1, kBefore = 3, kPassed = 4, kD = 5, kSlope = 6;
  Program program;
  Section& body = program.body;
  for (int kept : {kR, kBefore}) body.LoadOperand(kept, 0, kept * kept_slots);
  body.LoadWide(kD, 1, dh_slots);
  body.Mad(kPassed, kD, kR, kStreamed).TakeWide(Taken::kC, 1).StoreWide(kPassed, 1);
  body.Mad(kSlope, kR, kR, kR, true).Mul(kD, kD, kBefore).Mul(kD, kD, kSlope);
  body.StoreOperand(kD, 3, kR * gate_slots);
  return program;
}

Program RnnForward() {
  const Constants constants;
  Program program;
  constants.SetUp(program.init);
  program.body.MulWide(0, constants.tanh_scale, 0);
  EmitTanh(program.body, 0, constants);
  program.body.StoreOperand(0, 2);
  return program;
}

Program RnnBackward(bool first) {
  constexpr int kH = 0, kDh = 1, kSlope = 3, kOne = 4;
  Program program;
  program.init.Constant(kOne, 1);
  program.body.LoadOperand(kH, 0).LoadOperand(kDh, 2);
  if (!first) program.body.AddWide(kDh, kDh, 1);
  program.body.Mad(kSlope, kH, kH, kOne, true).Mul(kDh, kDh, kSlope).StoreOperand(kDh, 3);
  return program;
}

}  // namespace vaultrain::lanes
