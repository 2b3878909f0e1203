/**
 * Counters of a guideline's routes: each name has one for as long as the program runs, so that a count never goes on under
 * another name. Names beyond the last one share it.
 */
import { MAX_GUIDELINE_SLOTS } from '../../shared/counters.ts';

export type GuidelineSlots = {
  slotOf(name: string): number;
  /** By index. */
  names(): readonly string[];
};

export function createGuidelineSlots(): GuidelineSlots {
  const names: string[] = [];
  return {
    slotOf(name) {
      const found = names.indexOf(name);
      if (found >= 0) return found;
      if (names.length === MAX_GUIDELINE_SLOTS - 1) names.push('other');
      if (names.length === MAX_GUIDELINE_SLOTS) return MAX_GUIDELINE_SLOTS - 1;
      return names.push(name) - 1;
    },
    names: () => [...names],
  };
}
