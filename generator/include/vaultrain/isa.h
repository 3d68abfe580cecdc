// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Descriptors: the instructions of a node.
//
// A descriptor has 64 bytes, little-endian, and is one job of one engine: LOAD and STORE move a
// tile between the vault and the scratchpad, COMPUTE runs a loop nest through the PE array, VECTOR
// drains accumulators through the vector unit, ELEMENTS sends a tile of the scratchpad through it,
// SOFTMAX makes the loss and its gradient, LANES runs a lane program (lane_program.h) over streams
// of the scratchpad, SEND moves a tile to the scratchpads of other nodes or sums it over them, END
// closes the program. An engine runs its descriptors in program order;
// engines of a node are ordered among each other by counting semaphores alone, one for every
// ordered pair: a descriptor starts when the semaphore from every engine in `wait` to its own is
// above zero (and takes one from each), and adds one to the semaphore from its own to every engine
// in `signal` when all it wrote has landed and all it read has been read. Run one after the other
// in program order, descriptors of a node never wait for these.
//
// Nodes are ordered by 32 mesh semaphores in each node: a SEND adds one at every node it goes to
// when its last value has landed there (a reduction: at the owner of the sum), and starts when it
// could take the tokens that it asks for from those of its own node. A SEND of no rows moves tokens
// only.
//
// The table VT_ISA_FIELDS below is the only definition of the layout: the macros of
// rtl_templates/sequencer/vt_isa.vh, the accessors here and the document come from it.

#ifndef VAULTRAIN_ISA_H_
#define VAULTRAIN_ISA_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace vaultrain::isa {

inline constexpr int kDescriptorBytes = 64;
inline constexpr int kLoops = 6;
inline constexpr int kSemaphoreBits = 6;  // a semaphore counts to 63
inline constexpr int kMeshSemaphores = 32;
inline constexpr int kTags = 64;
inline constexpr int kScalars = 8;
inline constexpr int kNoTail = 7;
inline constexpr int kAccessBytes = 64;  // of an access to the vault
inline constexpr int kTurnBeats = 32;    // beats of the longest row of a transposed LOAD

enum class Opcode : uint8_t {
  kLoad = 1,
  kStore = 2,
  kCompute = 3,
  kVector = 4,
  kSoftmax = 5,
  kEnd = 6,
  kElements = 7,
  kSend = 8,
  kLanes = 9
};

// Engines in the order of the sequencer.
enum class Engine { kLoad = 0, kStore = 1, kCompute = 2, kVector = 3, kSend = 4, kLanes = 5 };
inline constexpr int kEngines = 6;

// What SEND does.
enum class SendKind : uint8_t {
  kTokens = 0,  // takes and gives tokens
  kPut = 1,     // rows go to the same place in every node of the group but this one
  kReduce = 2,  // rows of fp32 are summed over the group; the sum goes to the owner
};

// Nodes that a SEND goes to, or sums over.
enum class Group : uint8_t {
  kOwner = 0,   // the node at owner_x, owner_y; not for a reduction
  kRow = 1,     // nodes with this node's y
  kColumn = 2,  // nodes with this node's x
  kAll = 3,
};

// How VECTOR uses its auxiliary operand.
enum class Aux : uint8_t {
  kNone = 0,
  kAdd = 1,   // fp32, added: bias, master weight
  kMask = 2,  // operand format: the result is +0 where it is not positive (derivative of ReLU)
};

// Why a program was stopped; STATUS.ERROR_CODE shows it.
enum class ErrorCode : uint8_t {
  kNone = 0,
  kOpcode = 1,        // unknown opcode
  kReserved = 2,      // a bit outside the opcode's fields is set
  kZeroCount = 3,     // a bound or count is zero
  kWindow = 4,        // memory outside the window the host granted
  kAlignment = 5,     // an address or pitch is not a multiple of what it must be
  kLevel = 6,         // b_level, store_level or pop_level out of order or range
  kAccumulators = 7,  // more than half of the accumulators between two B tiles
  kNoEnd = 8,         // PROG_COUNT descriptors without END
  kSemaphore = 9,     // a semaphore passed 63
  kWatchdog = 10,     // no progress within WATCHDOG cycles
  kAborted = 11,      // CTRL.ABORT
  kUnsupported = 12,  // asks for what this variant does not have
  kScratchpad = 13,   // a scratchpad address beyond its size
  kMesh = 14,         // collectives out of order, or a credit of a link lost
  kEcc = 15,          // memory gave a value with two wrong bits
  kRefresh = 16,      // a refresh came late
  kPeer = 17,         // stopped because another node had an error
};

// X(name, opcodes, lsb, bits, sign, count, stride, meaning): `count` fields of `bits` bits,
// `stride` bits apart. opcodes: A all, M load and store, C compute, B vector and elements,
// V vector, W elements, S softmax, N send, L lanes.
#define VT_ISA_FIELDS(X)                                                                           \
  X(Opcode, A, 0, 4, U, 1, 0, "what the descriptor does")                                          \
  X(Tag, A, 8, 6, U, 1, 0,                                                                         \
    "job tag: jobs of the vector unit and the lanes write when they completed there")              \
  X(Wait, A, 16, 6, U, 1, 0,                                                                       \
    "engines to take a token of before starting: bit 0 load, 1 store, 2 compute, 3 vector, "       \
    "4 send, 5 lanes; not its own")                                                                \
  X(Signal, A, 24, 6, U, 1, 0, "engines to give a token to when complete, likewise")               \
  X(DramAddr, M, 64, 40, U, 1, 0, "byte address of the first row, a multiple of the access size")  \
  X(Convert, M, 104, 1, U, 1, 0, "LOAD: memory holds fp32, the scratchpad gets operands (RNE)")    \
  X(Transpose, M, 105, 1, U, 1, 0, "LOAD: memory row r, column c goes to scratchpad row c")        \
  X(Half, M, 106, 2, U, 1, 0, "converting LOAD: 1 the high, 2 the low half of fx32; 0 operands")   \
  X(Rows, M, 112, 16, U, 1, 0, "rows in memory")                                                   \
  X(RowAccesses, M, 128, 16, U, 1, 0, "accesses (64 bytes) in a row")                              \
  X(DramPitch, M, 144, 32, U, 1, 0, "bytes from row to row in memory")                             \
  X(SpadAddr, M, 176, 24, U, 1, 0,                                                                 \
    "scratchpad byte address, word aligned (transposed: of a beat)")                               \
  X(SpadPitch, M, 200, 24, U, 1, 0, "bytes from row to row in the scratchpad, whole words")        \
  X(PadRows, M, 224, 16, U, 1, 0, "LOAD: rows of zeros after the last row of memory")              \
  X(Cols, M, 240, 16, U, 1, 0, "transposed LOAD: columns of memory to keep; else 0")               \
  X(First, C, 64, 1, U, 1, 0, "accumulation starts from zero; else goes on from the last job")     \
  X(Last, C, 65, 1, U, 1, 0, "accumulators are handed to VECTOR at the store level")               \
  X(BLevel, C, 66, 3, U, 1, 0, "loops below run over the rows of A with one B tile, 1 to 6")       \
  X(StoreLevel, C, 69, 3, U, 1, 0, "loops below make one set of sums, b_level to 6")               \
  X(Halves, C, 72, 1, U, 1, 0,                                                                     \
    "the outermost loop below the store level has 2 iterations: of high halves, then of low ones") \
  X(Bound, C, 80, 16, U, 6, 16, "iterations of each loop, the innermost first")                    \
  X(ABase, C, 176, 16, U, 1, 0, "word address of the streamed operand")                            \
  X(AInc, C, 192, 16, S, 6, 16, "words to step when this loop is the outermost that advances")     \
  X(BBase, C, 288, 16, U, 1, 0, "word address of the stationary operand")                          \
  X(BInc, C, 304, 16, S, 6, 16, "words to step, loops from b_level up")                            \
  X(BColInc, C, 400, 16, S, 1, 0, "words from one column of a B tile to the next")                 \
  X(PopLevel, V, 64, 3, U, 1, 0, "loops below walk one set of sums, 1 to 6")                       \
  X(UseScale, B, 67, 1, U, 1, 0, "multiply by a scalar")                                           \
  X(Scalar, B, 68, 3, U, 1, 0, "which scalar register")                                            \
  X(AuxKind, B, 71, 2, U, 1, 0, "use of the auxiliary operand: 0 none, 1 add, 2 mask")             \
  X(Relu, B, 73, 1, U, 1, 0, "negative results become +0")                                         \
  X(OutFp32, B, 74, 1, U, 1, 0, "write fp32; else the operand format")                             \
  X(TailLoop, B, 75, 3, U, 1, 0, "on this loop's last iteration zeros fill the word; 7: never")    \
  X(VBound, B, 80, 16, U, 6, 16, "iterations of each loop, the innermost first")                   \
  X(OutBase, B, 176, 24, U, 1, 0, "scratchpad byte address of the results")                        \
  X(OutInc, V, 200, 24, S, 6, 24, "bytes to step when this loop is the outermost that advances")   \
  X(AuxBase, B, 344, 24, U, 1, 0, "scratchpad byte address of the auxiliary operand")              \
  X(AuxInc, V, 368, 24, S, 6, 24, "bytes to step when this loop is the outermost that advances")   \
  X(EOutInc, W, 200, 24, S, 3, 24, "as out_inc; the three outer loops have one iteration")         \
  X(SrcBase, W, 272, 24, U, 1, 0, "scratchpad byte address of the fp32 values that come in")       \
  X(EAuxInc, W, 368, 24, S, 3, 24, "as aux_inc")                                                   \
  X(SrcInc, W, 440, 24, S, 3, 24, "bytes to step when this loop is the outermost that advances")   \
  X(SRows, S, 64, 16, U, 1, 0, "samples")                                                          \
  X(Classes, S, 80, 16, U, 1, 0, "classes of a sample")                                            \
  X(LogitsAddr, S, 96, 24, U, 1, 0, "scratchpad byte address of the fp32 logits, word aligned")    \
  X(LogitsPitch, S, 120, 24, U, 1, 0, "bytes from sample to sample, whole words")                  \
  X(LabelsAddr, S, 144, 24, U, 1, 0, "scratchpad byte address of the 16-bit labels, word aligned") \
  X(GradAddr, S, 168, 24, U, 1, 0,                                                                 \
    "scratchpad byte address of the gradients, operand format, or fp32 where they are fx32")       \
  X(GradPitch, S, 192, 24, U, 1, 0, "bytes from sample to sample, whole words; zeros fill a word") \
  X(LossAddr, S, 216, 24, U, 1, 0,                                                                 \
    "scratchpad byte address of the fp32 losses, word aligned; zeros fill")                        \
  X(SScalar, S, 240, 3, U, 1, 0, "scalar register that scales the gradients")                      \
  X(SendKind, N, 64, 2, U, 1, 0, "0 tokens only, 1 put, 2 reduce")                                 \
  X(Group, N, 66, 2, U, 1, 0, "0 the owner (put only), 1 row, 2 column, 3 all nodes")              \
  X(OwnerX, N, 68, 3, U, 1, 0, "column of the node that gets the sum, or the put of group 0")      \
  X(OwnerY, N, 71, 3, U, 1, 0, "its row")                                                          \
  X(Post, N, 74, 1, U, 1, 0, "a token at every receiver after the last value")                     \
  X(PostSem, N, 75, 5, U, 1, 0, "mesh semaphore that gets it")                                     \
  X(Take, N, 80, 6, U, 2, 16, "tokens to take before starting")                                    \
  X(TakeSem, N, 88, 5, U, 2, 16, "mesh semaphore that they are taken from; two different ones")    \
  X(SendAddr, N, 112, 24, U, 1, 0, "scratchpad byte address of the first row, a whole flit")       \
  X(SendPitch, N, 136, 24, U, 1, 0, "bytes from row to row, whole flits")                          \
  X(SendRows, N, 160, 16, U, 1, 0, "rows; 0 moves tokens only")                                    \
  X(RowFlits, N, 176, 16, U, 1, 0, "flits (payloads of a link) in a row")                          \
  X(DstAddr, N, 192, 24, U, 1, 0, "scratchpad byte address of the first row at the receivers")     \
  X(DstPitch, N, 216, 24, U, 1, 0, "bytes from row to row there")                                  \
  X(LGroups, L, 64, 5, U, 1, 0, "groups of a register, 1 to 16: the innermost loop")               \
  X(LLevel, L, 69, 2, U, 1, 0,                                                                     \
    "init runs in the first, final in the last iteration of loops 1 to this; 0: in every one")     \
  X(LInit, L, 71, 6, U, 1, 0, "words of section init")                                             \
  X(LBody, L, 77, 7, U, 1, 0, "words of section body")                                             \
  X(LFinal, L, 84, 6, U, 1, 0, "words of section final; at most 128 words in all")                 \
  X(LBound, L, 96, 16, U, 3, 16, "iterations of loops 1 to 3")                                     \
  X(LProgram, L, 144, 16, U, 1, 0, "word address of the lane program, init, body, final")          \
  X(LBase, L, 160, 24, U, 4, 24, "scratchpad byte address of each stream, a whole slot")           \
  X(LInc, L, 256, 16, S, 16, 16,                                                                   \
    "stream 0: slots from group to group, then slots to step when loop 1, 2 or 3 is the "          \
    "outermost that advances; then streams 1 to 3")

struct Field {
  const char* name;
  char opcodes;  // one of the letters above
  int lsb;
  int bits;
  bool is_signed;
  int count;
  int stride;
  const char* meaning;
};

enum class FieldId : int {
#define VT_X(name, ...) k##name,
  VT_ISA_FIELDS(VT_X)
#undef VT_X
};

std::span<const Field> Fields();

// One descriptor. Get and Set work on any field; Set throws std::out_of_range if the value does not
// fit.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(Opcode opcode) { Set(FieldId::kOpcode, static_cast<int64_t>(opcode)); }

  int64_t Get(FieldId id, int index = 0) const;
  void Set(FieldId id, int64_t value, int index = 0);

  // 64 bytes, little-endian.
  std::array<uint8_t, kDescriptorBytes>& bytes() { return bytes_; }
  const std::array<uint8_t, kDescriptorBytes>& bytes() const { return bytes_; }

  friend bool operator==(const Descriptor&, const Descriptor&) = default;

 private:
  std::array<uint8_t, kDescriptorBytes> bytes_{};
};

// Steps of a loop nest from per-loop strides: inc[k] = stride[k] - sum over j < k of (bound[j] - 1)
// * stride[j].
std::array<int64_t, kLoops> Increments(const std::array<int64_t, kLoops>& bounds,
                                       const std::array<int64_t, kLoops>& strides);

inline constexpr int kLaneStreams = 4;
inline constexpr int kLaneLoops = 4;           // with the groups
inline constexpr int kLaneGroups = 16;         // of a register, at most
inline constexpr int kLaneInstructions = 128;  // that the engine holds

// The letter of VT_ISA_FIELDS for an opcode (of VECTOR and ELEMENTS the one of its own fields), 'E'
// for END, which has only its opcode, or 0 if there is no such opcode.
char FieldGroup(int opcode);

// Whether descriptors of that group have the field.
bool HasField(char group, const Field& field);

// The engine that runs descriptors of that opcode. (END, which none runs and which has no tokens:
// kVector.)
constexpr Engine EngineOf(Opcode opcode) {
  switch (opcode) {
    case Opcode::kLoad:
      return Engine::kLoad;
    case Opcode::kStore:
      return Engine::kStore;
    case Opcode::kCompute:
      return Engine::kCompute;
    case Opcode::kSend:
      return Engine::kSend;
    case Opcode::kLanes:
      return Engine::kLanes;
    default:
      return Engine::kVector;
  }
}

// The bit of an engine in `wait` and `signal`.
constexpr int64_t BitOf(Engine engine) { return int64_t{1} << static_cast<int>(engine); }

// `before` gives a token that `after`, of another engine, takes.
void Order(Descriptor& before, Descriptor& after);

// "compute"; "opcode 15" of one that there is not.
std::string OpcodeName(int opcode);

// "compute wait=.. a_base=.. ...", for listings and messages.
std::string ToText(const Descriptor& descriptor);

// The text of rtl_templates/sequencer/vt_isa.vh and of the reference document.
std::string VerilogHeader();
std::string Markdown();

}  // namespace vaultrain::isa

#endif  // VAULTRAIN_ISA_H_
