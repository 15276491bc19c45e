#include "engine/allocate/bandwidth_allocator.h"

#include <algorithm>
#include <tuple>

namespace nexus {
namespace {

// A slot keeps its layers while their rates fit into this multiple of the budget (rates are measured over a
// second and vary).
constexpr double kKeep = 1.05;
// A slot gets higher layers only if they fit into this share of the budget.
constexpr double kRaise = 0.92;
// Layers that fit into this share of the budget are tried even after a failure, which other traffic must have
// caused.
constexpr double kEasy = 0.45;
constexpr Duration kFirstHold = std::chrono::milliseconds(1'000);
constexpr Duration kLongestHold = std::chrono::seconds(32);
// How long no slot rises after any fall, so that one dip has only one effect.
constexpr Duration kCalm = std::chrono::milliseconds(300);
// A layer that is taken back within this time should not have been given: it is held back for longer next
// time.
constexpr Duration kRegret = std::chrono::seconds(5);
// How long a slot keeps its lowest layer although that does not fit.
constexpr Duration kStarve = std::chrono::milliseconds(400);

// Multiple of all wanted rates above which the budget holds nothing back.
constexpr int64_t kPlenty = 3;

// Slots of one class climb together; within a class the larger video goes first.
auto ClassOf(const SlotDemand& demand) { return std::tuple(demand.priority, demand.screen, demand.pinned); }

}  // namespace

BandwidthAllocator::State& BandwidthAllocator::StateOf(SlotId slot) {
  for (State& state : states_) {
    if (state.slot == slot) return state;
  }
  states_.push_back({slot});
  return states_.back();
}

void BandwidthAllocator::Order(std::span<const SlotDemand> demands) {
  order_.resize(demands.size());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = i;
  std::stable_sort(order_.begin(), order_.end(), [&](size_t left, size_t right) {
    const SlotDemand& a = demands[left];
    const SlotDemand& b = demands[right];
    return std::tuple(ClassOf(a), a.area, a.speaking) > std::tuple(ClassOf(b), b.area, b.speaking);
  });
}

void BandwidthAllocator::Distribute(std::span<const SlotDemand> demands, int64_t budget_bps,
                                    std::vector<size_t>& steps) {
  steps.assign(demands.size(), 0);
  int64_t left = budget_bps;
  const auto climb = [&](size_t i) {
    const LayerLadder& ladder = ladders_[i];
    if (steps[i] >= ladder.top()) return false;
    const auto more = static_cast<int64_t>(ladder.bps(steps[i] + 1) - ladder.bps(steps[i]));
    if (more > left) return false;
    left -= more;
    ++steps[i];
    return true;
  };
  for (const size_t i : order_) climb(i);
  for (size_t begin = 0; begin < order_.size();) {
    size_t end = begin;
    while (end < order_.size() && ClassOf(demands[order_[end]]) == ClassOf(demands[order_[begin]])) ++end;
    for (bool climbed = true; climbed;) {
      climbed = false;
      for (size_t k = begin; k < end; ++k) {
        if (steps[order_[k]] > 0) climbed = climb(order_[k]) || climbed;
      }
    }
    begin = end;
  }
}

size_t BandwidthAllocator::Lower(State& state, const LayerLadder& ladder, size_t current, size_t keep,
                                 bool may_pause, Timestamp now) const {
  if (keep == 0) {
    if (!state.starving_since) state.starving_since = now;
    if (!may_pause || now - *state.starving_since < kStarve) return 1;
  }
  if (current > 0 && state.raised_to == ladder.at(current).target) {
    if (now - state.raised < kRegret) {
      state.hold = std::clamp(state.hold * 2, kFirstHold, kLongestHold);
      state.retry = now + state.hold;
      state.failed = state.raised_to;
    } else if (!state.failed || *state.failed <= *state.raised_to) {
      state.hold = Duration(0);  // the layer lasted long enough
    }
  }
  state.may_rise = now + kCalm;
  return keep;
}

size_t BandwidthAllocator::Decide(State& state, const LayerLadder& ladder, size_t current, const Fits& fits,
                                  bool may_pause, Timestamp now) const {
  if (fits.tightly < current) return Lower(state, ladder, current, fits.tightly, may_pause, now);
  if (fits.tightly > 0) state.starving_since.reset();
  size_t raised = std::min(fits.loosely, fits.tightly);
  // Only the failed layer has to wait; those below it, and those that take a small share of the budget, need
  // not.
  if (now < state.retry && state.failed) {
    raised = std::min(raised, std::max(std::max<size_t>(ladder.StepOf(*state.failed), 1) - 1, fits.easily));
  }
  if (raised <= current || now < state.may_rise) return current;
  state.raised = now;
  state.raised_to = ladder.at(raised).target;
  return raised;
}

std::span<const SlotGrant> BandwidthAllocator::Update(std::span<const SlotDemand> demands,
                                                      std::optional<int64_t> budget_bps, bool may_pause,
                                                      Timestamp now) {
  ++updates_;
  ladders_.clear();
  wanted_bps_ = granted_bps_ = 0;
  paused_ = 0;
  for (const SlotDemand& demand : demands) {
    ladders_.emplace_back(demand.rates, demand.max);
    wanted_bps_ += static_cast<int64_t>(ladders_.back().bps(ladders_.back().top()));
  }
  Order(demands);
  const auto budget = static_cast<double>(budget_bps.value_or(int64_t{1} << 50));
  Distribute(demands, static_cast<int64_t>(budget * kKeep), keep_);
  Distribute(demands, static_cast<int64_t>(budget * kRaise), ideal_);
  Distribute(demands, static_cast<int64_t>(budget * kEasy), easy_);
  grants_.clear();
  for (size_t i = 0; i < demands.size(); ++i) {
    State& state = StateOf(demands[i].slot);
    state.seen = updates_;
    const LayerLadder& ladder = ladders_[i];
    SlotGrant grant{demands[i].slot, demands[i].max};
    if (ladder.top() > 0) {  // otherwise nothing is known yet, and nothing is held back
      const size_t current = state.fresh    ? 0
                             : state.target ? std::max<size_t>(ladder.StepOf(*state.target), 1)
                                            : 0;
      size_t step = Decide(state, ladder, current, {keep_[i], ideal_[i], easy_[i]}, may_pause, now);
      if (step == 0 && (state.fresh || !may_pause)) step = may_pause ? keep_[i] : 1;
      state.fresh = false;
      state.target.reset();
      if (step > 0) state.target = ladder.at(step).target;
      grant.target = state.target;
      granted_bps_ += static_cast<int64_t>(ladder.bps(step));
      paused_ += step == 0 ? 1 : 0;
    }
    grants_.push_back(grant);
  }
  // With ample budget the highest known layer is no bound, so that a layer which appears later is shown at
  // once.
  if (!budget_bps || *budget_bps > kPlenty * wanted_bps_) {
    for (size_t i = 0; i < demands.size(); ++i) grants_[i].target = demands[i].max;
  }
  std::erase_if(states_, [this](const State& state) { return state.seen != updates_; });
  return grants_;
}

}  // namespace nexus
