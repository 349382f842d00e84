{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with prices as (

    select * from {{ ref('int_prices_pivoted') }}

),

snapshots as (

    select distinct
        provider,
        model,
        snapshot_number,
        applies_from_at
    from prices

),

-- The newest snapshot that applies to everything, and those after it, each to what was loaded since then.
first_used as (

    select
        provider,
        model,
        max(snapshot_number) as first_number
    from snapshots
    where applies_from_at is null
    group by provider, model

),

used_snapshots as (

    select
        snapshots.provider,
        snapshots.model,
        snapshots.snapshot_number,
        coalesce(snapshots.applies_from_at, cast('-infinity' as timestamp)) as loaded_from_at,
        lead(snapshots.applies_from_at, 1, cast('infinity' as timestamp)) over (
            partition by snapshots.provider, snapshots.model order by snapshots.snapshot_number
        ) as loaded_to_at,
        lead(snapshots.snapshot_number) over (
            partition by snapshots.provider, snapshots.model order by snapshots.snapshot_number
        ) is null as is_newest
    from snapshots
    inner join first_used on snapshots.provider = first_used.provider and snapshots.model = first_used.model
    where snapshots.snapshot_number >= first_used.first_number

),

-- A service tier without prices of its own has the standard ones.
final as (

    select
        used_snapshots.provider,
        used_snapshots.model,
        used_snapshots.snapshot_number,
        used_snapshots.loaded_from_at,
        used_snapshots.loaded_to_at,
        used_snapshots.is_newest,
        tiers.service_tier,
        coalesce(max(case when prices.service_tier = tiers.service_tier then prices.service_tier end), 'standard')
            as priced_tier
    from used_snapshots
    cross join (values ('standard'), ('batch'), ('flex'), ('priority'), ('fast')) as tiers (service_tier)
    inner join prices
        on
            used_snapshots.provider = prices.provider
            and used_snapshots.model = prices.model
            and used_snapshots.snapshot_number = prices.snapshot_number
    group by
        used_snapshots.provider, used_snapshots.model, used_snapshots.snapshot_number, used_snapshots.loaded_from_at,
        used_snapshots.loaded_to_at, used_snapshots.is_newest, tiers.service_tier

)

select * from final
