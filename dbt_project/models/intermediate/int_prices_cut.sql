{{ config(materialized = 'table', post_hook = '{{ analyze_this() }}') }}

with prices as (

    select * from {{ ref('int_prices_pivoted') }}

),

window_bounds as (

    select
        provider,
        model,
        window_start_s as bound
    from prices
    union distinct
    select
        provider,
        model,
        window_end_s as bound
    from prices

),

windows as (

    select
        provider,
        model,
        bound as window_start_s,
        lead(bound) over (partition by provider, model order by bound) as window_end_s
    from window_bounds

),

tier_bounds as (

    select
        provider,
        model,
        tier_start as bound
    from prices
    union distinct
    select
        provider,
        model,
        tier_end as bound
    from prices

),

tiers as (

    select
        provider,
        model,
        bound as tier_start,
        lead(bound) over (partition by provider, model order by bound) as tier_end
    from tier_bounds

),

-- After the last bound nothing begins.
final as (

    select
        windows.provider,
        windows.model,
        windows.window_start_s,
        windows.window_end_s,
        tiers.tier_start,
        tiers.tier_end
    from windows
    inner join tiers on windows.provider = tiers.provider and windows.model = tiers.model
    where windows.window_end_s is not null and tiers.tier_end is not null

)

select * from final
