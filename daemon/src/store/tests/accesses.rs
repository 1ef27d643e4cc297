//! Reads of secrets, counted by hour and by resource.

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn read(uri: &str) -> Entry {
    Entry::new(Action::SECRET_READ, Actor::system()).project("default").resource(uri)
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_counted_by_hour_and_by_resource() {
    let home = Home::new();
    let store = home.start();
    let (db, api) = ("vouchsafe://secrets/app/DB", "vouchsafe://secrets/app/API");
    for (hour, entry) in [
        (0, read(db)),
        (1, read(db)),
        (1, read(db).outcome(Outcome::Refused)),
        (1, read(api)),
        // Nothing was read here.
        (1, Entry::new(Action::LEASE_ISSUED, Actor::system()).resource(db)),
        (3, read(db).outcome(Outcome::Failed)),
        (4, read(db)),
    ] {
        home.set_clock(hour * HOUR_MS);
        append(&store, entry).await.unwrap();
    }
    let count = async |filter: Filter| -> Accesses {
        let from = UnixTime::from_ms(START_MS);
        let counted = store.read("accesses", move |reader| reader.accesses(&filter, from, 4));
        let counted: Result<_, StoreError> = counted.await;
        counted.unwrap()
    };
    let reads = |released, refused| Reads { released, refused };
    let all = count(Filter::default()).await;
    assert_eq!(all.hours, [reads(1, 0), reads(2, 1), reads(0, 0), reads(0, 1)]);
    assert_eq!(all.resources, [(db.to_owned(), reads(2, 2)), (api.to_owned(), reads(1, 0))]);
    assert!(!all.cut);
    let resource = Some(ResourceFilter::Exact(api.to_owned()));
    let some = count(Filter { resource, ..Filter::default() }).await;
    assert_eq!(some.hours, [reads(0, 0), reads(1, 0), reads(0, 0), reads(0, 0)]);
    let matches = Arc::new(|uri: &str| uri.ends_with("DB"));
    let prefix = "vouchsafe://secrets/app/".to_owned();
    let resource = Some(ResourceFilter::Pattern { prefix, matches });
    let some = count(Filter { resource, ..Filter::default() }).await;
    assert_eq!(some.resources, [(db.to_owned(), reads(2, 2))]);
    let none = count(Filter { within: Some(Vec::new()), ..Filter::default() }).await;
    assert_eq!(none.resources, []);
}
