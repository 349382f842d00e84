{{ config(materialized = 'table') }}

{%- set before = load_relation(this) if execute and not should_full_refresh() else none %}

with operations as (

    select * from {{ ref('stg_llm_ops__operations') }}

),

sessions as (

    select * from {{ ref('stg_llm_ops__sessions') }}

),

child_calls as (

    select * from {{ ref('int_child_calls_grouped') }}

),

price_versions as (

    select distinct
        provider,
        model,
        price_version
    from {{ ref('int_prices_matched') }}

),

versions as (

    select
        operations.operation_date,
        operations.started_at,
        operations.loaded_at,
        sessions.loaded_at as session_loaded_at,
        child_calls.child_call_count,
        child_calls.last_child_loaded_at,
        price_versions.price_version
    from operations
    left join sessions on operations.session_id = sessions.session_id
    left join child_calls on operations.operation_id = child_calls.operation_id
    left join price_versions
        on coalesce(operations.provider, '') = price_versions.provider and operations.model = price_versions.model

),

days as (

    {{ day_fingerprints('versions') }}

),

before as (

    {% if before is not none and before.is_table -%}
    select * from {{ this }}
    {%- else -%}
    select
        operation_date,
        day_fingerprint,
        false as is_checked
    from days
    where false
    {%- endif %}

),

final as (

    select
        coalesce(days.operation_date, before.operation_date) as operation_date,
        days.operation_count,
        days.day_fingerprint,
        coalesce(
            days.day_fingerprint = before.day_fingerprint
            and before.is_checked
            and not {{ is_asked_for('days.operation_date') }},
            false
        ) as is_checked,
        '{{ var("reporting_timezone") | replace("'", "''") }}' as reporting_timezone
    from days
    full outer join before on days.operation_date = before.operation_date
    -- A day that is gone stays until the marts have been seen to have lost it as well.
    where days.operation_date is not null or before.day_fingerprint is not null or not before.is_checked

)

select * from final
