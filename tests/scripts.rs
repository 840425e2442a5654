//! Runs the scripts of `tests/slt`, one folder for each topic.

use std::collections::BTreeSet;

use crate::harness::{slt::run_topic, tests_folder, world};

macro_rules! topics {
    ($($topic:ident)+) => {
        $(
            #[tokio::test]
            async fn $topic() {
                run_topic(&world().weir, stringify!($topic)).await;
            }
        )+

        #[test]
        fn every_folder_is_a_topic() {
            let listed = BTreeSet::from([$( stringify!($topic).to_owned(), )+]);
            let folders = std::fs::read_dir(tests_folder("slt")).unwrap();
            let found = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            assert_eq!(listed, found.collect());
        }
    };
}

topics! { errors joins policy pushdown readonly select settings types }
