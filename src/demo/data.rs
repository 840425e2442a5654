//! Makes a small retail company: stores, products, customers, inventory and 1.2 million sales.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use arrow::{
    array::{
        ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    error::ArrowError,
};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    errors::ParquetError,
    file::properties::{WriterProperties, WriterVersion},
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, ErrorKind, Result};

/// Goes up with every change of the data, so that older data is made again.
const VERSION: u32 = 1;
/// Inside the data, says which version it is. Starts with `_`: no table.
const MARKER: &str = "_weir_retail";
/// The name of the data until all of it is there.
const UNFINISHED: &str = "_weir_retail_unfinished";
/// The name of data of another version until it is removed.
const OUTDATED: &str = "_weir_retail_outdated";
/// The folder is the schema.
const SCHEMA: &str = "public";
const SEED: u64 = 0x5745_4952;
/// Sales in one file; each is made on its own, from its own seed.
const PART_SALES: u64 = 150_000;
const BATCH_SALES: u64 = 15_000;

/// How much data to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub sales: u64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { sales: 1_200_000 }
    }
}

/// What lies in the folder now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The root for a catalog of source `local`.
    pub root: PathBuf,
    /// False if data of this version was there already.
    pub is_new: bool,
    /// Rows of each table.
    pub tables: Vec<(&'static str, u64)>,
}

/// Writes the retail data below `dir`, unless it is there. `progress` hears the table, the rows that
/// are done and all its rows.
pub fn write_retail(dir: &Path, progress: impl FnMut(&str, u64, u64)) -> Result<Written> {
    write_scaled(dir, Scale::default(), progress)
}

/// [`write_retail`] in another size.
pub fn write_scaled(
    dir: &Path,
    scale: Scale,
    mut progress: impl FnMut(&str, u64, u64),
) -> Result<Written> {
    let tables = vec![
        ("stores", STORE_COUNT as u64),
        ("products", PRODUCT_COUNT as u64),
        ("customers", CUSTOMER_COUNT),
        ("inventory", (STORE_COUNT * PRODUCT_COUNT) as u64),
        ("sales", scale.sales),
    ];
    let mut written = Written { root: dir.to_owned(), is_new: false, tables };
    let marker = format!("version {VERSION}, {} sales\n", scale.sales);
    let data = dir.join(SCHEMA);
    match fs::read_to_string(data.join(MARKER)) {
        Ok(found) if found == marker => return Ok(written),
        Err(_) if data.exists() => {
            return Err(Error::new(
                ErrorKind::Config,
                format!("folder \"{}\" holds other data", data.display()),
            )
            .with_hint("Choose another folder with --data, or move that one away."));
        }
        Ok(_) | Err(_) => {}
    }
    let (unfinished, outdated) = (dir.join(UNFINISHED), dir.join(OUTDATED));
    remove(&unfinished)?;
    remove(&outdated)?;
    fs::create_dir_all(unfinished.join("sales")).map_err(|error| failed(&unfinished, error))?;

    let stores = stores();
    let products = products();
    let mut put = |name: &'static str, file: &str, text: String, rows: u64| {
        let path = unfinished.join(file);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
        progress(name, rows, rows);
        Ok::<(), Error>(())
    };
    put("stores", "stores.csv", stores_csv(&stores), STORE_COUNT as u64)?;
    put("products", "products.csv", products_csv(&products), PRODUCT_COUNT as u64)?;
    let inventory = inventory_csv(&products);
    put("inventory", "inventory.csv", inventory, (STORE_COUNT * PRODUCT_COUNT) as u64)?;
    let customers = unfinished.join("customers.parquet");
    write_customers(&customers, &stores)?;
    progress("customers", CUSTOMER_COUNT, CUSTOMER_COUNT);
    let world = World { stores: &stores, products: &products };
    write_sales(&unfinished.join("sales"), scale, &world, progress)?;

    // One rename each: a run that is cut off leaves all of the data or none of it.
    let path = unfinished.join(MARKER);
    fs::write(&path, marker).map_err(|error| failed(&path, error))?;
    if data.exists() {
        fs::rename(&data, &outdated).map_err(|error| failed(&data, error))?;
    }
    fs::rename(&unfinished, &data).map_err(|error| failed(&data, error))?;
    remove(&outdated)?;
    written.is_new = true;
    Ok(written)
}

const STORE_COUNT: usize = 48;
const PRODUCT_COUNT: usize = 400;
const CUSTOMER_COUNT: u64 = 20_000;
/// 2023-01-01, and the days of the three years from it.
const FIRST_DAY: i32 = 19_358;
const DAYS: i32 = 1_096;

struct City {
    name: &'static str,
    country: &'static str,
    region: &'static str,
    phone: &'static str,
}

const fn city(
    name: &'static str,
    country: &'static str,
    region: &'static str,
    phone: &'static str,
) -> City {
    City { name, country, region, phone }
}

/// Each has two stores.
const CITIES: [City; STORE_COUNT / 2] = [
    city("Berlin", "DE", "EU", "+49"),
    city("New York", "US", "US", "+1"),
    city("Tokyo", "JP", "APAC", "+81"),
    city("Paris", "FR", "EU", "+33"),
    city("Chicago", "US", "US", "+1"),
    city("Sydney", "AU", "APAC", "+61"),
    city("Madrid", "ES", "EU", "+34"),
    city("Seattle", "US", "US", "+1"),
    city("Singapore", "SG", "APAC", "+65"),
    city("Milan", "IT", "EU", "+39"),
    city("Austin", "US", "US", "+1"),
    city("Seoul", "KR", "APAC", "+82"),
    city("Amsterdam", "NL", "EU", "+31"),
    city("Boston", "US", "US", "+1"),
    city("Mumbai", "IN", "APAC", "+91"),
    city("Vienna", "AT", "EU", "+43"),
    city("Denver", "US", "US", "+1"),
    city("Auckland", "NZ", "APAC", "+64"),
    city("Stockholm", "SE", "EU", "+46"),
    city("Miami", "US", "US", "+1"),
    city("Lisbon", "PT", "EU", "+351"),
    city("San Francisco", "US", "US", "+1"),
    city("Warsaw", "PL", "EU", "+48"),
    city("Dublin", "IE", "EU", "+353"),
];

/// Name, kinds of product, cost range in cents.
const CATEGORIES: [(&str, [&str; 5], (i64, i64)); 8] = [
    ("Outdoor", ["Tent", "Backpack", "Lantern", "Cooler", "Hammock"], (1_500, 18_000)),
    ("Kitchen", ["Kettle", "Pan", "Knife", "Grinder", "Scale"], (900, 9_000)),
    ("Office", ["Desk Lamp", "Notebook", "Chair", "Stapler", "Monitor Arm"], (300, 16_000)),
    ("Toys", ["Puzzle", "Train", "Blocks", "Kite", "Board Game"], (400, 4_500)),
    ("Garden", ["Shears", "Planter", "Hose", "Rake", "Bird Feeder"], (500, 6_000)),
    ("Sports", ["Yoga Mat", "Dumbbell", "Racket", "Helmet", "Ball"], (700, 8_500)),
    ("Home", ["Blanket", "Vase", "Mirror", "Candle", "Rug"], (400, 12_000)),
    ("Electronics", ["Headphones", "Speaker", "Charger", "Webcam", "Keyboard"], (900, 15_000)),
];
const BRANDS: [&str; 10] =
    ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ironwood", "Juniper"];
const FIRST_NAMES: [&str; 24] = [
    "Ana", "Ben", "Chen", "Dana", "Elif", "Femi", "Gita", "Hugo", "Ines", "Jun", "Kofi", "Lena",
    "Mateo", "Nora", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wen",
    "Zoë",
];
const LAST_NAMES: [&str; 24] = [
    "Adams", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen",
    "Kim", "Lopez", "Müller", "Nguyen", "O'Brien", "Patel", "Rossi", "Sato", "Tanaka", "Usman",
    "Varga", "Wang", "Yilmaz", "Zhang",
];

struct Store {
    city: &'static City,
    name: String,
    opened_on: i32,
    square_metres: u32,
}

struct Product {
    name: String,
    category: &'static str,
    brand: &'static str,
    price_cents: i64,
    cost_cents: i64,
}

struct World<'a> {
    stores: &'a [Store],
    products: &'a [Product],
}

/// A generator of its own for each part of the data, so that no part shifts another.
fn generator(part: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(SEED);
    generator.set_stream(part);
    generator
}

fn pick<'a, T>(random: &mut impl Rng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

fn stores() -> Vec<Store> {
    let mut random = generator(1);
    (0..STORE_COUNT)
        .map(|index| {
            let city = &CITIES[index % CITIES.len()];
            let place = if index < CITIES.len() { "Center" } else { "Station" };
            Store {
                city,
                name: format!("{} {place}", city.name),
                opened_on: FIRST_DAY - random.random_range(100..6_000),
                square_metres: random.random_range(180..2_400),
            }
        })
        .collect()
}

fn products() -> Vec<Product> {
    let mut random = generator(2);
    (0..PRODUCT_COUNT)
        .map(|index| {
            let (category, kinds, (low, high)) = &CATEGORIES[index % CATEGORIES.len()];
            let brand = *pick(&mut random, &BRANDS);
            let kind = *pick(&mut random, kinds);
            let cost_cents = random.random_range(*low..*high);
            let markup = random.random_range(125..210);
            Product {
                name: format!("{brand} {kind} {}", 100 + index),
                category,
                brand,
                price_cents: cost_cents * markup / 100 / 10 * 10 + 9,
                cost_cents,
            }
        })
        .collect()
}

fn date(days: i32) -> String {
    chrono::NaiveDate::default()
        .checked_add_signed(chrono::TimeDelta::days(i64::from(days)))
        .unwrap_or_default()
        .to_string()
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn stores_csv(stores: &[Store]) -> String {
    let mut text = "store_id,name,city,country,region,opened_on,square_metres\n".to_owned();
    for (index, store) in stores.iter().enumerate() {
        let City { name, country, region, .. } = store.city;
        let opened_on = date(store.opened_on);
        let size = store.square_metres;
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{},{},{name},{country},{region},{opened_on},{size}",
            index + 1,
            store.name
        );
    }
    text
}

fn products_csv(products: &[Product]) -> String {
    let mut text = "product_id,sku,name,category,brand,list_price,unit_cost\n".to_owned();
    for (index, product) in products.iter().enumerate() {
        let Product { name, category, brand, price_cents, cost_cents } = product;
        let (price, cost) = (money(*price_cents), money(*cost_cents));
        let sku = format!("{}-{:05}", category[..2].to_uppercase(), 10_000 + index);
        let _ = writeln!(text, "{},{sku},{name},{category},{brand},{price},{cost}", index + 1);
    }
    text
}

fn inventory_csv(products: &[Product]) -> String {
    let mut random = generator(3);
    let mut text = "store_id,product_id,on_hand,reorder_level,counted_on\n".to_owned();
    for store_id in 1..=STORE_COUNT {
        for product_id in 1..=products.len() {
            let reorder_level = random.random_range(5..40);
            let on_hand = random.random_range(0..reorder_level * 6);
            let counted_on = date(FIRST_DAY + DAYS - random.random_range(0..60));
            let _ =
                writeln!(text, "{store_id},{product_id},{on_hand},{reorder_level},{counted_on}");
        }
    }
    text
}

fn write_customers(path: &Path, stores: &[Store]) -> Result<()> {
    let mut random = generator(4);
    let count = usize::try_from(CUSTOMER_COUNT).unwrap_or_default();
    let mut names = Vec::with_capacity(count);
    let mut emails = Vec::with_capacity(count);
    let mut phones = Vec::with_capacity(count);
    let mut homes: Vec<&City> = Vec::with_capacity(count);
    let mut segments = Vec::with_capacity(count);
    let mut birth_days = Vec::with_capacity(count);
    let mut sign_ups = Vec::with_capacity(count);
    for id in 1..=CUSTOMER_COUNT {
        let (first, last) = (pick(&mut random, &FIRST_NAMES), pick(&mut random, &LAST_NAMES));
        let home = home_store(id, stores.len());
        let home = stores.get(home).map_or(&CITIES[0], |store| store.city);
        let plain = |name: &str| -> String {
            name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
        };
        names.push(format!("{first} {last}"));
        emails.push(format!("{}.{}{id}@example.com", plain(first), plain(last)));
        // Every tenth gives none.
        let phone = random.random_range(1_000_000..9_999_999);
        phones.push((!id.is_multiple_of(10)).then(|| format!("{} 555 {phone}", home.phone)));
        homes.push(home);
        let segment = random.random_range(0..100);
        segments.push(match segment {
            0..70 => "consumer",
            70..92 => "business",
            _ => "vip",
        });
        birth_days.push(random.random_range(-10_000..13_000));
        sign_ups.push(FIRST_DAY - random.random_range(0..1_500));
    }
    let ids = (1..=CUSTOMER_COUNT).map(|id| i64::try_from(id).unwrap_or_default());
    let home = |part: fn(&City) -> &'static str| -> ArrayRef {
        Arc::new(homes.iter().map(|home| Some(part(home))).collect::<StringArray>())
    };
    let columns: [(&str, ArrayRef); 10] = [
        ("customer_id", Arc::new(ids.collect::<Int64Array>())),
        ("name", Arc::new(StringArray::from(names))),
        ("email", Arc::new(StringArray::from(emails))),
        ("phone", Arc::new(StringArray::from(phones))),
        ("city", home(|home| home.name)),
        ("country", home(|home| home.country)),
        ("region", home(|home| home.region)),
        ("segment", Arc::new(StringArray::from(segments))),
        ("birth_date", Arc::new(Date32Array::from(birth_days))),
        ("signed_up_on", Arc::new(Date32Array::from(sign_ups))),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| failed(path, error))?;
    write_parquet(path, std::iter::once(Ok(batch)))
}

/// Customers buy near their home.
fn home_store(customer_id: u64, stores: usize) -> usize {
    usize::try_from(customer_id.wrapping_mul(0x9E37_79B9) >> 7).unwrap_or_default() % stores
}

/// Writes each file on its own, on all processors.
fn write_sales(
    folder: &Path,
    scale: Scale,
    world: &World<'_>,
    mut progress: impl FnMut(&str, u64, u64),
) -> Result<()> {
    let parts = usize::try_from(scale.sales.div_ceil(PART_SALES)).unwrap_or(usize::MAX);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(parts.max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (next, sender) = (&next, sender.clone());
                scope.spawn(move || -> Result<()> {
                    loop {
                        let part = next.fetch_add(1, Ordering::Relaxed);
                        if part >= parts {
                            return Ok(());
                        }
                        write_part(folder, part as u64, scale, world, &sender)?;
                    }
                })
            })
            .collect();
        drop(sender);
        let mut done = 0;
        for rows in receiver {
            done += rows;
            progress("sales", done, scale.sales);
        }
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(Error::internal("a writer of sales panicked")))
        })
    })
}

fn write_part(
    folder: &Path,
    part: u64,
    scale: Scale,
    world: &World<'_>,
    done: &mpsc::Sender<u64>,
) -> Result<()> {
    let path = folder.join(format!("part-{part:03}.parquet"));
    let first = part * PART_SALES;
    let last = (first + PART_SALES).min(scale.sales);
    let mut random = generator(100 + part);
    let mut start = first;
    let batches = std::iter::from_fn(|| {
        if start >= last {
            return None;
        }
        let end = (start + BATCH_SALES).min(last);
        let batch = sales_batch(start..end, scale, world, &mut random);
        // Whoever listened may have gone.
        let _ = done.send(end - start);
        start = end;
        Some(batch)
    });
    write_parquet(&path, batches)
}

/// Sales in the order of time. November and December are strong, weekends too, nights are quiet.
fn sales_batch(
    ids: std::ops::Range<u64>,
    scale: Scale,
    world: &World<'_>,
    random: &mut ChaCha8Rng,
) -> Result<RecordBatch, ArrowError> {
    let count = usize::try_from(ids.end - ids.start).unwrap_or_default();
    let mut sale_ids = Vec::with_capacity(count);
    let mut moments = Vec::with_capacity(count);
    let mut store_ids = Vec::with_capacity(count);
    let mut product_ids = Vec::with_capacity(count);
    let mut customer_ids = Vec::with_capacity(count);
    let mut quantities = Vec::with_capacity(count);
    let mut prices = Vec::with_capacity(count);
    let mut discounts = Vec::with_capacity(count);
    let mut amounts = Vec::with_capacity(count);
    let mut regions = Vec::with_capacity(count);
    for id in ids {
        let day = sale_day(id, scale.sales);
        let second = random.random_range(0..46_800) + 28_800;
        let microsecond = (i64::from(FIRST_DAY + day) * 86_400 + second) * 1_000_000;
        let customer_id = random.random_range(1..=CUSTOMER_COUNT);
        // Three of four sales are near home.
        let store = if random.random_range(0..4) == 0 {
            random.random_range(0..world.stores.len())
        } else {
            home_store(customer_id, world.stores.len())
        };
        // The smaller of two draws: some products sell far better than others.
        let mut draw = || random.random_range(0..world.products.len());
        let product = [(); 2].map(|()| draw()).into_iter().min().unwrap_or_default();
        let mut draw = || random.random_range(0..100);
        let quantity = match draw() {
            0..62 => 1,
            62..84 => 2,
            84..94 => 3,
            _ => 4 + draw() % 9,
        };
        let percent = match draw() {
            0..75 => 0,
            75..90 => 10,
            90..97 => 20,
            _ => 35,
        };
        let price = world.products[product].price_cents;
        let full = price * i64::from(quantity);
        let discount = full * percent / 100;
        sale_ids.push(i64::try_from(id + 1).unwrap_or_default());
        moments.push(microsecond);
        store_ids.push(i64::try_from(store + 1).unwrap_or_default());
        product_ids.push(i64::try_from(product + 1).unwrap_or_default());
        customer_ids.push(i64::try_from(customer_id).unwrap_or_default());
        quantities.push(quantity);
        prices.push(i128::from(price));
        discounts.push(i128::from(discount));
        amounts.push(i128::from(full - discount));
        regions.push(world.stores[store].city.region);
    }
    let decimal = |cents: Vec<i128>, precision: u8| -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(Decimal128Array::from(cents).with_precision_and_scale(precision, 2)?))
    };
    let columns: [(&str, ArrayRef); 10] = [
        ("sale_id", Arc::new(Int64Array::from(sale_ids))),
        ("sold_at", Arc::new(TimestampMicrosecondArray::from(moments))),
        ("store_id", Arc::new(Int64Array::from(store_ids))),
        ("product_id", Arc::new(Int64Array::from(product_ids))),
        ("customer_id", Arc::new(Int64Array::from(customer_ids))),
        ("quantity", Arc::new(Int32Array::from(quantities))),
        ("unit_price", decimal(prices, 10)?),
        ("discount", decimal(discounts, 10)?),
        ("amount", decimal(amounts, 12)?),
        ("region", Arc::new(StringArray::from(regions))),
    ];
    RecordBatch::try_from_iter(columns)
}

/// The day of the nth sale: days get sales by their weight, and the sales of a day stay together.
fn sale_day(id: u64, sales: u64) -> i32 {
    // Cumulated weights, made once: a sale's share of all sales falls into one day.
    static ENDS: std::sync::OnceLock<Vec<u64>> = std::sync::OnceLock::new();
    let ends = ENDS.get_or_init(|| {
        let mut total = 0;
        (0..DAYS)
            .map(|day| {
                total += day_weight(day);
                total
            })
            .collect()
    });
    let total = ends.last().copied().unwrap_or(1);
    let share = u128::from(id) * u128::from(total) / u128::from(sales.max(1));
    let day = ends.partition_point(|&end| u128::from(end) <= share);
    i32::try_from(day).unwrap_or_default().min(DAYS - 1)
}

fn day_weight(day: i32) -> u64 {
    const MONTHS: [u64; 12] = [82, 80, 92, 96, 100, 104, 98, 94, 100, 106, 138, 172];
    use chrono::Datelike;
    let date = chrono::NaiveDate::default() + chrono::TimeDelta::days(i64::from(FIRST_DAY + day));
    let month = MONTHS[date.month0() as usize % MONTHS.len()];
    let weekday = if date.weekday().num_days_from_monday() >= 5 { 135 } else { 95 };
    // The company grows.
    let growth = 100 + u64::try_from(day).unwrap_or_default() / 30;
    month * weekday * growth
}

fn write_parquet(
    path: &Path,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_created_by("weir demo".to_owned())
        .set_max_row_group_row_count(Some(50_000))
        .build();
    let mut writer = None;
    for batch in batches {
        let batch = batch.map_err(|error| failed(path, error))?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => {
                let file = File::create(path).map_err(|error| failed(path, error))?;
                let new = ArrowWriter::try_new(file, batch.schema(), Some(properties.clone()));
                writer.insert(new.map_err(|error| failed(path, error))?)
            }
        };
        writer.write(&batch).map_err(|error| failed(path, error))?;
    }
    let closed: Result<(), ParquetError> =
        writer.map_or(Ok(()), |writer| writer.close().map(|_| ()));
    closed.map_err(|error| failed(path, error))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Config, format!("can't write demo data \"{}\"", path.display()))
        .with_detail(format!("The system says: {error}."))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "the files are read without the proxy")]
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Every file below a folder, with its bytes.
    fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    found.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
                }
            }
        }
        found.sort();
        found
    }

    const SMALL: Scale = Scale { sales: PART_SALES + 20_000 };

    #[test]
    fn two_runs_write_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut last = (0, 0);
        let written = write_scaled(one.path(), SMALL, |table, done, total| {
            if table == "sales" {
                last = (done, total);
            }
        });
        assert!(written.unwrap().is_new);
        assert_eq!(last, (SMALL.sales, SMALL.sales));
        write_scaled(two.path(), SMALL, |_, _, _| {}).unwrap();
        let found = files(one.path());
        assert!(found == files(two.path()), "the bytes differ");
        let paths: Vec<_> = found.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "public/_weir_retail",
                "public/customers.parquet",
                "public/inventory.csv",
                "public/products.csv",
                "public/sales/part-000.parquet",
                "public/sales/part-001.parquet",
                "public/stores.csv",
            ]
        );
    }

    #[test]
    fn finished_data_is_kept_and_unfinished_data_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let scale = Scale { sales: 1_000 };
        let write = |scale| write_scaled(folder.path(), scale, |_, _, _| {}).unwrap().is_new;
        assert!(write(scale));
        assert!(!write(scale));
        assert!(write(Scale { sales: 2_000 }), "another size is other data");
        fs::create_dir_all(folder.path().join(UNFINISHED).join("sales")).unwrap();
        fs::write(folder.path().join(UNFINISHED).join("sales/part-009.parquet"), "cut").unwrap();
        fs::write(folder.path().join(SCHEMA).join(MARKER), "version 0").unwrap();
        assert!(write(scale), "an older version");
        assert!(!folder.path().join(SCHEMA).join("sales/part-009.parquet").exists());
    }

    #[test]
    fn data_of_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(SCHEMA)).unwrap();
        fs::write(folder.path().join(SCHEMA).join("mine.csv"), "a\n1\n").unwrap();
        let error = write_scaled(folder.path(), SMALL, |_, _, _| {}).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(folder.path().join(SCHEMA).join("mine.csv").exists());
    }

    #[tokio::test]
    async fn the_data_is_a_catalog_whose_keys_meet() {
        use datafusion::prelude::SessionContext;
        use weir_catalogs::{CatalogName, OptionValue, Options, local};

        let folder = tempfile::tempdir().unwrap();
        let scale = Scale { sales: 3_000 };
        let written = write_scaled(folder.path(), scale, |_, _, _| {}).unwrap();
        let mut options = Options::default();
        options.set("root", OptionValue::Path(written.root));
        let source = (local::KIND.open)(&CatalogName::parse("retail").unwrap(), options).unwrap();
        let session = SessionContext::new();
        for table in source.discover().await.unwrap() {
            assert_eq!(table.schema, "public");
            session.register_table(table.name.clone(), source.table(&Arc::new(table))).unwrap();
        }
        let count = async |sql: &str| {
            let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
            batches[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0)
        };
        for (table, rows) in written.tables {
            let sql = format!("SELECT count(*) FROM {table}");
            assert_eq!(count(&sql).await, i64::try_from(rows).unwrap(), "{table}");
        }
        let joined = "SELECT count(*) FROM sales s JOIN stores USING (store_id)
            JOIN products p USING (product_id) JOIN customers USING (customer_id)
            WHERE s.amount = s.unit_price * s.quantity - s.discount AND s.region = stores.region
            AND p.unit_cost < p.list_price AND p.list_price = CAST(s.unit_price AS double)";
        assert_eq!(count(joined).await, 3_000);
        assert_eq!(count("SELECT count(DISTINCT region) FROM sales").await, 3);
        let seasons = "SELECT count(*) FILTER (WHERE extract(month FROM sold_at) = 12)
            - count(*) FILTER (WHERE extract(month FROM sold_at) = 2) FROM sales";
        assert!(count(seasons).await > 100, "December is stronger than February");
    }
}
