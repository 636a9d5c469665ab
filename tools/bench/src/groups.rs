//! Figures that are taken together.

use anyhow::{Result, bail};

use crate::metrics::Metrics;

/// The ids of all figures that have a bound, and what takes them; `C` is what is needed for it.
pub(crate) struct Group<C> {
    pub(crate) ids: &'static [&'static str],
    /// Whether they say the same however fast the machine is.
    pub(crate) counts: bool,
    pub(crate) take: fn(&mut C, &mut Metrics) -> Result<()>,
}

/// Which figures are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Only those that do not depend on the machine's speed.
    pub(crate) only_counts: bool,
    /// Only those called so and what is taken with them; all where it is empty.
    pub(crate) only: Vec<String>,
}

impl Wanted {
    fn wants<C>(&self, group: &Group<C>) -> bool {
        let is_named =
            self.only.is_empty() || group.ids.iter().any(|id| self.only.iter().any(|only| only == id));
        is_named && (group.counts || !self.only_counts)
    }

    /// Fails where a figure is wanted that none of `groups` has.
    fn check<C>(&self, groups: &[Group<C>]) -> Result<()> {
        let known: Vec<_> = groups.iter().flat_map(|group| group.ids).copied().collect();
        match self.only.iter().find(|id| !known.contains(&id.as_str())) {
            Some(unknown) => bail!("no figure is called `{unknown}`; there are {}", known.join(", ")),
            None => Ok(()),
        }
    }
}

/// Takes the figures of `groups` that are wanted.
///
/// # Errors
/// A figure that does not exist, or the first that could not be taken.
pub(crate) fn take<C>(
    groups: &[Group<C>],
    wanted: &Wanted,
    context: &mut C,
    metrics: &mut Metrics,
) -> Result<()> {
    wanted.check(groups)?;
    groups.iter().filter(|group| wanted.wants(group)).try_for_each(|group| (group.take)(context, metrics))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(ids: &'static [&'static str], counts: bool) -> Group<Vec<&'static str>> {
        let take: fn(&mut Vec<_>, &mut Metrics) -> Result<()> = if counts {
            |taken, _| {
                taken.push("counts");
                Ok(())
            }
        } else {
            |taken, _| {
                taken.push("times");
                Ok(())
            }
        };
        Group { ids, counts, take }
    }

    fn taken(only_counts: bool, only: &[&str]) -> Result<Vec<&'static str>> {
        let groups = [group(&["a.count", "a.other"], true), group(&["a.time"], false)];
        let wanted = Wanted { only_counts, only: only.iter().map(|id| (*id).to_owned()).collect() };
        let mut taken = Vec::new();
        take(&groups, &wanted, &mut taken, &mut Metrics::default())?;
        Ok(taken)
    }

    #[test]
    fn what_is_wanted_is_taken_and_nothing_else() {
        assert_eq!(taken(false, &[]).unwrap(), ["counts", "times"]);
        assert_eq!(taken(true, &[]).unwrap(), ["counts"]);
        assert_eq!(taken(false, &["a.time"]).unwrap(), ["times"]);
        assert_eq!(taken(false, &["a.other"]).unwrap(), ["counts"]);
        assert!(taken(false, &["a.none"]).unwrap_err().to_string().contains("`a.none`; there are a.count"));
    }
}
