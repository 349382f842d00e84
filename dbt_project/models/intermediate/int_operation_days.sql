with operations as (

    select * from {{ ref('stg_llm_ops__operations') }}

),

sessions as (

    select * from {{ ref('stg_llm_ops__sessions') }}

),

versions as (

    select
        operations.operation_date,
        operations.loaded_at,
        sessions.loaded_at as session_loaded_at
    from operations
    left join sessions on operations.session_id = sessions.session_id

),

days as (

    {{ day_fingerprints('versions') }}

)

select * from days
