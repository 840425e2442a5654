//! Which rules speak of an object, for anybody: the few that Casbin is asked about.

use std::collections::{BTreeSet, HashMap};

use super::rules::{Action, Rules};

/// The rules of a policy by their objects.
#[derive(Debug, Default)]
pub struct Index {
    by_object: HashMap<Action, Tree>,
    by_tag: HashMap<Action, HashMap<String, Vec<usize>>>,
    /// Positions in the list of tags, by the tagged objects.
    tagged: Tree,
}

/// What speaks of one object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Positions of rules, in their order.
    pub rules: Vec<usize>,
    /// What Casbin is asked about: the object, and those of its tagged ancestors (or patterns) through
    /// which it has its tags. A rule that matches one of these covers the object too.
    pub objects: BTreeSet<String>,
}

impl Index {
    pub fn of(rules: &Rules) -> Self {
        let mut index = Self::default();
        for (position, rule) in rules.rules.iter().enumerate() {
            if rule.object.starts_with("tag:") {
                let tags = index.by_tag.entry(rule.action).or_default();
                tags.entry(rule.object.clone()).or_default().push(position);
            } else {
                index.by_object.entry(rule.action).or_default().insert(&rule.object, position);
            }
        }
        for (position, tag) in rules.tags.iter().enumerate() {
            index.tagged.insert(&tag.object, position);
        }
        index
    }

    /// The rules of `action` that cover `object`, themselves or through a tag.
    pub fn covering(&self, rules: &Rules, action: Action, object: &str) -> Coverage {
        let mut found = BTreeSet::new();
        let mut objects = BTreeSet::new();
        if let Some(tree) = self.by_object.get(&action) {
            tree.covering(object, &mut found);
        }
        if let Some(by_tag) = self.by_tag.get(&action) {
            for position in self.tags_of(object) {
                let tag = &rules.tags[position];
                if let Some(ruled) = by_tag.get(&tag.tag) {
                    found.extend(ruled);
                    objects.insert(tag.object.clone());
                }
            }
        }
        if !found.is_empty() {
            objects.insert(object.to_owned());
        }
        Coverage { rules: found.into_iter().collect(), objects }
    }

    /// Positions of the `g2` lines that cover an object.
    fn tags_of(&self, object: &str) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        self.tagged.covering(object, &mut found);
        found
    }
}

/// Objects by their segments.
#[derive(Debug, Default)]
struct Tree {
    here: Vec<usize>,
    children: HashMap<String, Tree>,
    /// Below `*`.
    any: Option<Box<Tree>>,
}

impl Tree {
    fn insert(&mut self, object: &str, position: usize) {
        let mut tree = self;
        for segment in object.split('.') {
            tree = match segment {
                "*" => tree.any.get_or_insert_default(),
                name => tree.children.entry(name.to_owned()).or_default(),
            };
        }
        tree.here.push(position);
    }

    fn covering(&self, object: &str, found: &mut BTreeSet<usize>) {
        found.extend(&self.here);
        let (first, rest) = object.split_once('.').unwrap_or((object, ""));
        if first.is_empty() {
            return;
        }
        for next in self.children.get(first).into_iter().chain(self.any.as_deref()) {
            next.covering(rest, found);
        }
    }
}

/// A rule covers its subtree; `*` is one segment, a lone `*` everything. This is what Casbin calls
/// as `objMatch`.
pub fn object_matches(asked: &str, ruled: &str) -> bool {
    if ruled == "*" {
        return true;
    }
    let mut asked = asked.split('.');
    ruled.split('.').all(|rule| asked.next().is_some_and(|name| rule == "*" || rule == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_match_by_segment() {
        for (asked, ruled, expected) in [
            ("a.b.c", "*", true),
            ("a.b.c", "a", true),
            ("a.b.c", "a.b", true),
            ("a.b.c", "a.*.c", true),
            ("a.b.c", "*.b", true),
            ("a.b.c", "a.b.c.d", false),
            ("a.b.c", "a.b.c.*", false),
            ("ab.b.c", "a", false),
            ("a.b.c", "a.x", false),
            ("é.b.c", "é.b", true),
        ] {
            assert_eq!(object_matches(asked, ruled), expected, "{asked} {ruled}");
            let mut tree = Tree::default();
            tree.insert(ruled, 0);
            let mut found = BTreeSet::new();
            tree.covering(asked, &mut found);
            assert_eq!(!found.is_empty(), expected, "{asked} {ruled}");
        }
    }

    #[test]
    fn tags_reach_the_subtree_of_what_they_name() {
        let rules = Rules::parse(
            "g2, a.b.c, tag:table\ng2, a.*.*.mail, tag:mail\ng2, a, tag:other\n\
             p, role:x, *, tag:table, select, , deny\np, role:x, *, tag:mail, mask, null, allow\n\
             p, role:x, *, a.b, select, , allow\n",
        )
        .unwrap();
        let index = Index::of(&rules);
        let covering = |action, object| {
            let Coverage { rules, objects } = index.covering(&rules, action, object);
            (rules, objects.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(covering(Action::Select, "a.b.c"), (vec![0, 2], "a.b.c".into()));
        assert_eq!(covering(Action::Select, "a.b.c.d"), (vec![0, 2], "a.b.c a.b.c.d".into()));
        assert_eq!(covering(Action::Select, "a.b.x"), (vec![2], "a.b.x".into()));
        assert_eq!(covering(Action::Mask, "a.b.c.mail"), (vec![1], "a.*.*.mail a.b.c.mail".into()));
        assert_eq!(covering(Action::Mask, "a.b.c.d"), (vec![], String::new()));
        assert_eq!(covering(Action::Copy, "a.b.c"), (vec![], String::new()));
    }
}
